"""A peer in Python: drives a real bridge process as an Elixir program does, without a BEAM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from operator import length_hint
from typing import Any, BinaryIO

from ..errors import CallError, TransportClosed
from ..wire.codec import NOTIFICATION, RESPONSE, Encoder, decode_value
from ..wire.framing import HEADER_BYTES, encode_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

#: How long a test waits for what must come, in seconds: long, because machines are busy.
PATIENCE_S = 20.0


class PortPeer:
    """A bridge started as an Erlang port starts it, and the client's end of its protocol.

    The process leads a session of its own and ignores SIGPIPE; its protocol is on descriptors 0
    and 1, or with ``nouse_stdio`` on two others; stderr is collected. ``arguments`` are those of
    the command line. ``wait_until_ready``: return when ``$/ready`` has come, whose map is then in
    ``ready``. Usable as a context manager, which ends the process. Any thread may call.

    Raises ``TransportClosed`` if the process ends before it is ready.
    """

    def __init__(
        self,
        *arguments: str,
        nouse_stdio: bool = False,
        wait_until_ready: bool = True,
        python: str = sys.executable,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        self._stderr = tempfile.TemporaryFile()
        child_in, self._sink = os.pipe()
        self._source, child_out = os.pipe()
        command = [python, "-m", "bridge", *arguments]
        self.process = subprocess.Popen(
            [*command, "--fds", f"{child_in},{child_out}"] if nouse_stdio else command,
            stdin=subprocess.DEVNULL if nouse_stdio else child_in,
            stdout=self._stderr if nouse_stdio else child_out,
            stderr=self._stderr,
            pass_fds=(child_in, child_out) if nouse_stdio else (),
            start_new_session=True,
            restore_signals=False,  # Python itself ignores SIGPIPE, and so will the child
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        os.close(child_in)
        os.close(child_out)
        #: All other notifications so far, as ``(method, params)``.
        self.notifications: list[tuple[str, list[Any]]] = []
        #: Every response so far by id, a list for each, as ``(error, result)``.
        self.responses: dict[int, list[tuple[dict[str, Any] | None, Any]]] = {}
        #: The items of every stream so far, by id.
        self.items: dict[int, list[Any]] = {}
        #: The method of the first message, None if it was a response.
        self.first: str | None = None
        self.ready: dict[str, Any] | None = None
        self._encoder = Encoder()
        self._sending = threading.Lock()
        self._arrived = threading.Condition()
        self._closed = False
        self._next_id = 0
        self._may_read = threading.Event()
        self._may_read.set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait_until_ready:
            (self.ready,) = self.notification("$/ready")

    def __enter__(self) -> PortPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self.resume()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(PATIENCE_S)
        self._stderr.close()

    # -- to the bridge ----------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        """Bytes as they are, without a frame around them. Raises ``TransportClosed``."""
        with self._sending:
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._sink, view) :]
            except OSError as error:
                raise TransportClosed(str(error)) from error

    def send_frame(self, message: bytes) -> None:
        """A frame with any bytes in it."""
        self.send_bytes(encode_header(len(message)) + message)

    def notify(self, method: str, *params: Any) -> None:
        """Send a notification."""
        self.send_frame(self._encoder.notification(method, list(params)))

    def request(
        self, method: str, params: list[Any] | dict[str, Any] | None = None, **options: Any
    ) -> int:
        """Send a request with the options of the protocol; returns its id."""
        with self._arrived:
            self._next_id += 1
            msgid = self._next_id
            data = self._encoder.request(
                msgid, method, [] if params is None else params, options or None
            )
        self.send_frame(data)
        return msgid

    def cancel(self, msgid: int) -> None:
        """Cancel a request; it is answered all the same."""
        self.notify("$/cancelRequest", msgid)

    def credit(self, msgid: int, items: int, size: int = 1 << 20) -> None:
        """Grant a stream more items and bytes."""
        self.notify("$/credit", msgid, items, size)

    def close(self) -> None:
        """Close the bridge's input, as a port does that is closed. Again: no effect."""
        with self._sending:
            if self._sink >= 0:
                os.close(self._sink)
                self._sink = -1

    # -- from the bridge --------------------------------------------------------------------

    def call(
        self, method: str, params: list[Any] | dict[str, Any] | None = None, **options: Any
    ) -> Any:
        """Send a request and wait for its result. Raises the ``CallError`` that it ended with."""
        return self.result(self.request(method, params, **options))

    def stream(
        self,
        method: str,
        params: list[Any] | dict[str, Any] | None = None,
        *,
        items: int = 16,
        size: int = 1 << 20,
        **options: Any,
    ) -> Iterator[Any]:
        """The items of a streaming call; each that is taken gives its credit back."""
        msgid = self.request(method, params, stream={"items": items, "bytes": size}, **options)
        received = self.items.setdefault(msgid, [])
        waiting = iter(received)
        while True:
            self._wait(lambda: length_hint(waiting) > 0 or msgid in self.responses)
            try:
                item = next(waiting)
            except StopIteration:
                self.result(msgid)
                return
            yield item
            if msgid not in self.responses:
                self.credit(msgid, 1, len(self._encoder.value(item)) + 32)

    def result(self, msgid: int, timeout_s: float = PATIENCE_S) -> Any:
        """Wait for the response to a request. Raises the ``CallError`` in it."""
        self._wait(lambda: msgid in self.responses, timeout_s)
        error, result = self.responses[msgid][0]
        if error is not None:
            raise CallError.from_wire(error)
        return result

    def notification(
        self,
        method: str,
        accept: Callable[[list[Any]], bool] = lambda params: True,
        timeout_s: float = PATIENCE_S,
    ) -> list[Any]:
        """Wait for a notification, the first that ``accept`` takes; returns its params."""

        found: list[list[Any]] = []

        def look() -> bool:
            found.extend(p for m, p in self.notifications if m == method and accept(p))
            return bool(found)

        self._wait(look, timeout_s)
        return found[0]

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the process to end; returns its exit status (negative: the signal)."""
        return self.process.wait(timeout_s)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    @property
    def stderr(self) -> str:
        """What the process has written to stderr."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def pause(self) -> None:
        """Read nothing more from the bridge, once what is being read has come, until ``resume``."""
        self._may_read.clear()

    def resume(self) -> None:
        """Read on."""
        self._may_read.set()

    # -- parts ------------------------------------------------------------------------------

    def _wait(self, look: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        end = time.monotonic() + timeout_s
        with self._arrived:
            while not look():
                if self._closed:
                    raise TransportClosed(f"the bridge has ended\n{self.stderr}")
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not within {timeout_s} s\n{self.stderr}")
                self._arrived.wait(left)

    def _read(self) -> None:
        with open(self._source, "rb") as source:
            self._read_frames(source)
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def _read_frames(self, source: BinaryIO) -> None:
        while len(header := source.read(HEADER_BYTES)) == HEADER_BYTES:
            size = int.from_bytes(header, "big")
            frame = source.read(size)
            if len(frame) < size:
                return  # the process has left in the middle of it
            kind, *rest = decode_value(frame)
            with self._arrived:
                if not self.responses and not self.items and not self.notifications:
                    self.first = rest[0] if kind == NOTIFICATION else None
                if kind == RESPONSE:
                    msgid, error, result = rest
                    self.responses.setdefault(msgid, []).append((error, result))
                elif kind == NOTIFICATION and rest[0] == "$/item":
                    msgid, item = rest[1]
                    self.items.setdefault(msgid, []).append(item)
                elif kind == NOTIFICATION:
                    self.notifications.append((rest[0], rest[1]))
                self._arrived.notify_all()
            self._may_read.wait()

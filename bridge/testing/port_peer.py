"""A peer in Python: drives a real bridge process as an Elixir program does, without a BEAM."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Self

from ..errors import RemoteProtocolError, TransportClosed
from ..wire import HEADER_BYTES, Encoder, encode_header
from ..wire.answers import decode_answer
from .functions import Functions
from .inbox import OVERHEAD_BYTES, PATIENCE_S, Inbox
from .port import open_port

#: What an exit takes from the end of the output to the status.
_EXIT_S = 1.0


class PortPeer(Inbox):
    """A bridge started as an Erlang port starts it, and the client's end of its protocol.

    The process leads a session and a process group of its own, ignores the signals that a port
    program finds ignored, and inherits no descriptor but those of its protocol and stderr, which is
    collected. Usable as a context manager, which ends it. Any thread may call any method.

    Args:
        arguments: Those of the command line, ``"--adapter", "my_tools:Tools"`` at least.
        nouse_stdio: The protocol is on descriptors 3 and 4, as with the port option of that name;
            default: on 0 and 1.
        wait_until_ready: Return when ``$/ready`` has come, whose map is then in ``ready``; default:
            True.
        ready_timeout_s: How long that may take, in seconds; default: ``PATIENCE_S``.
        python: The interpreter; default: the one that runs here.
        env: Variables beside those of this process; default: none.
        cwd: Where the process starts; default: here.
        remember_bytes: So much of what was received and taken (by ``call``, ``result`` or
            ``stream``) stays in ``responses`` and ``items``; then the oldest is forgotten. None:
            nothing ever is. What nobody has taken always stays; of notifications the newest 10,000
            do, at least. Default: 16 MiB.
        functions: What tools of the bridge can call with ``ctx.call_elixir``, by name, each run on
            a thread of its own; calls of this peer that a function makes count as nested, as they
            do in Elixir. Default: none, and the bridge is not told that there might be.
        tables: Whether the bridge is told that this peer takes tables, as the client in Elixir does; to
            read one it needs ``pyarrow``. Default: True.

    Raises:
        TransportClosed: The process ends before it is ready; with what it wrote to stderr.
        TimeoutError: It is not ready in time; with what it wrote to stderr.
        FileNotFoundError: There is no such ``python``.
    """

    #: Whether somebody has killed the process or waited for it: its exit status is no surprise.
    end_expected = False

    def __init__(
        self,
        *arguments: str,
        nouse_stdio: bool = False,
        wait_until_ready: bool = True,
        ready_timeout_s: float = PATIENCE_S,
        python: str = sys.executable,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
        remember_bytes: int | None = 16 << 20,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        tables: bool = True,
    ) -> None:
        super().__init__(remember_bytes)
        #: What the bridge says of itself in ``$/ready``; None until it was waited for.
        self.ready: dict[str, Any] | None = None
        self._encoder = Encoder()
        self._next_id = 0
        self._may_read = threading.Event()
        self._may_read.set()
        command = [python, "-P", "-m", "bridge", *arguments]
        if nouse_stdio:
            command += ["--fds", "3,4"]
        if functions is not None:
            self._functions = Functions(functions, self.send_frame)
        self._port = open_port(command, nouse_stdio=nouse_stdio, env=env, cwd=cwd)
        self.process = self._port.process
        self._reader = threading.Thread(
            target=self._read, args=(self._port.source,), name="port-peer", daemon=True
        )
        self._reader.start()
        if wait_until_ready:
            try:
                (self.ready,) = self.notification("$/ready", timeout_s=ready_timeout_s)
                if functions is not None or tables:
                    hello = {"extensions": [3] if tables else []}
                    self.notify("$/hello", {"requests": functions is not None, **hello})
            except BaseException:
                self._port.kill_group()
                self.end()
                raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of process {self.process.pid}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    # -- calls ------------------------------------------------------------------------------

    def call(
        self, method: str, params: list[Any] | dict[str, Any] | None = None, **options: Any
    ) -> Any:
        """Call a tool, or a method ``$/``, and wait for its result.

        Args:
            method: Its name.
            params: By position in a list, or by name in a dict; default: none.
            options: Those of the protocol: ``timeout_ms``, ``session``, ``metadata``.

        Raises:
            CallError: The call ended with it.
            EncodeError: A value cannot be sent.
            TransportClosed, TimeoutError, RemoteProtocolError: As ``result`` raises them.
        """
        return self.result(self.request(method, params, **options))

    def request(
        self, method: str, params: list[Any] | dict[str, Any] | None = None, **options: Any
    ) -> int:
        """Send a request and wait for nothing; returns its id, for ``result`` and ``cancel``.

        Args:
            method: As with ``call``.
            params: As with ``call``.
            options: As with ``call``; and ``stream={"items": 16, "bytes": 1 << 20}`` makes it a
                streaming call with so much credit.

        Raises:
            EncodeError: A value cannot be sent.
            TransportClosed: The bridge does not read any more.
        """
        if self._functions is not None and self._functions.within is not None:
            options.setdefault("within", self._functions.within)
        with self._arrived:
            self._next_id += 1
            msgid = self._next_id
            data = self._encoder.request(
                msgid, method, [] if params is None else params, options or None
            )
        self.send_frame(data)
        return msgid

    def stream(
        self,
        method: str,
        params: list[Any] | dict[str, Any] | None = None,
        *,
        items: int = 16,
        size: int = 1 << 20,
        timeout_s: float = PATIENCE_S,
        **options: Any,
    ) -> Generator[Any, None, Any]:
        """The items of a streaming call; the request is sent when the first is asked for.

        Each item that is taken gives its credit back. Closing the iterator early cancels the call;
        what the tool returned at the end is what ``yield from`` gives.

        Args:
            method: As with ``call``.
            params: As with ``call``.
            options: As with ``call``.
            items: How many items are on their way at most; default: 16.
            size: How many bytes of them; default: 1 MiB.
            timeout_s: How long to wait for each item, in seconds; default: ``PATIENCE_S``.

        Raises:
            CallError, TransportClosed, TimeoutError, RemoteProtocolError: As ``result`` raises them.
        """
        msgid = self.request(method, params, stream={"items": items, "bytes": size}, **options)
        position = taken_bytes = 0
        try:
            while True:
                received = self._wait_for_items(msgid, position + 1, timeout_s)
                if position == len(received):
                    if msgid not in self.responses:
                        self.cancel(msgid)  # an item that cannot be read
                    return self.result(msgid)
                item = received[position]
                position += 1
                cost = self._size_of(msgid, item)
                taken_bytes += cost + OVERHEAD_BYTES
                if self._remember_bytes is not None and taken_bytes > self._remember_bytes:
                    with self._arrived:
                        del received[:position]
                        self._sizes[msgid] = self._sizes.get(msgid, 0) - taken_bytes
                    position = taken_bytes = 0
                yield item
                if msgid not in self.responses:
                    self.credit(msgid, 1, cost)
        except GeneratorExit:
            self._note_taken(msgid)
            if msgid not in self.responses:
                with suppress(TransportClosed):
                    self.cancel(msgid)
            raise

    def cancel(self, msgid: int) -> None:
        """Cancel a request; it is answered all the same."""
        self.notify("$/cancelRequest", msgid)

    def credit(self, msgid: int, items: int, size: int = 1 << 20) -> None:
        """Grant a stream, begun by ``request``, more items and bytes (``size``)."""
        self.notify("$/credit", msgid, items, size)

    def stats(self) -> dict[str, Any]:
        """The bridge's counters, as ``$/stats`` gives them."""
        stats: dict[str, Any] = self.call("$/stats")
        return stats

    # -- notifications ----------------------------------------------------------------------

    def notify(self, method: str, *params: Any) -> None:
        """Send a notification. Raises ``TransportClosed``."""
        with self._arrived:
            data = self._encoder.notification(method, list(params))
        self.send_frame(data)

    # -- the pipes --------------------------------------------------------------------------

    def send_frame(self, message: bytes) -> None:
        """A frame with any bytes in it. Raises ``TransportClosed``."""
        self.send_bytes(encode_header(len(message)) + message)

    def send_bytes(self, data: bytes) -> None:
        """Bytes as they are, without a frame around them. Raises ``TransportClosed``.

        Blocks while the pipe is full because the bridge does not read.
        """
        self._port.write(data)

    def pause(self) -> None:
        """Read nothing more from the bridge, once what is being read has come, until ``resume``."""
        self._may_read.clear()

    def resume(self) -> None:
        """Read on."""
        self._may_read.set()

    def close(self) -> None:
        """Close the bridge's input, as a port does that is closed. Again: no effect.

        The bridge ends then; what it still sends can be waited for.
        """
        self._port.close_input()

    # -- the process ------------------------------------------------------------------------

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the process to end; returns its exit status (negative: the signal).

        Raises:
            TimeoutError: It has not ended within ``timeout_s`` seconds; with its stderr.
        """
        self.end_expected = True
        return self._port.wait(timeout_s)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the process a signal. Without effect if it has ended."""
        self.end_expected = True
        self.process.send_signal(number)

    def end(self, timeout_s: float = PATIENCE_S) -> int:
        """Close the input and wait for the process; returns its exit status. Again: no effect.

        After ``timeout_s`` seconds the process and what it started are killed. ``stderr`` and what
        was received can still be read.
        """
        self.resume()
        status = self._port.end(timeout_s)
        self._reader.join(PATIENCE_S)
        return status

    @property
    def exit_status(self) -> int | None:
        """The exit status (negative: the signal); None while the process runs."""
        return self._port.exit_status

    @property
    def stderr(self) -> str:
        """What the process has written to stderr so far."""
        return self._port.stderr

    # -- parts ------------------------------------------------------------------------------

    def _describe_end(self) -> str:
        status = self.exit_status
        return self.stderr if status is None else f"exit status {status}\n{self.stderr}"

    def _size_of(self, msgid: int, item: Any) -> int:
        """What an item took from the credit."""
        with self._arrived:
            return len(self._encoder.item(msgid, item))

    def _read(self, source: int) -> None:
        failure: Exception | None = None
        try:
            with open(source, "rb") as pipe:
                self._read_frames(pipe)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_EXIT_S)  # whoever hears of the end learns the status
        except Exception as error:
            failure = error
        with self._arrived:
            self._closed, self._failure = True, failure
            self._arrived.notify_all()

    def _read_frames(self, pipe: BinaryIO) -> None:
        while len(header := pipe.read(HEADER_BYTES)) == HEADER_BYTES:
            size = int.from_bytes(header, "big")
            frame = pipe.read(size)
            if len(frame) < size:
                return  # the process has left in the middle of it
            try:
                message = decode_answer(frame)
            except RemoteProtocolError as error:
                if error.msgid is None:
                    raise
                self._refuse(error.msgid, error)  # no other call is worse off
            else:
                self._receive(message, size)
            self._may_read.wait()

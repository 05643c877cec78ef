"""A peer for a stock ErlPort process, with the surface of ``ElixirPeer``.

So a suite that was written for ErlPort runs against both. The ``erlport`` package need only be
there for the Python that is started; it comes with the Erlang application, below
``deps/erlport/priv/python3``.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Self

from ...errors import CallError, TransportClosed
from ...wire import HEADER_BYTES, encode_header
from ..inbox import PATIENCE_S
from ..port import open_port
from .external_terms import decode_term, encode_term
from .terms import Atom, BitString, Function, ImproperList, List, Map, Pid, Reference, Term

_OPAQUE = Atom("$erlport.opaque")


class ErlPortError(CallError):
    """The error of a call, as ErlPort sent it: the four parts of its error tuple.

    ``type``: the qualified class of the exception, ``traceback``: innermost frame last, as in the
    bridge's errors. ``term``: the whole of it.
    """

    code = "unknown"

    def __init__(self, term: Term) -> None:
        self.term = term
        parts = term if isinstance(term, tuple) and len(term) == 4 else (None, None, term, List())
        _language, kind, value, frames = parts
        frames = frames.items if isinstance(frames, List) else ()
        super().__init__(
            as_text(value),
            type=kind.name if isinstance(kind, Atom) else None,
            traceback=[as_text(frame) for frame in reversed(frames)],
        )


class ErlPortPeer:
    """A process of ErlPort, and the end of its protocol that is Erlang's.

    Arguments and results are Erlang terms. Usable as a context manager, which ends the process. Any
    thread may call.

    Args:
        module: Where the functions stand that are called by a bare name.
        python_path: Directories to import from, the ``erlport`` package among them, as in ErlPort's
            option of that name; default: none.
        python: The interpreter; default: the one that runs here.
        env: Variables beside those of this process; default: none.
        cwd: Where the process starts; default: here.
        on_call: What ``erlport.erlang.call`` reaches. It is given module, function and the
            arguments, on a thread of its own; what it raises is ErlPort's ``CallError`` there.
            Default: nothing can be called.
    """

    def __init__(
        self,
        module: str,
        *,
        python_path: Sequence[str] = (),
        python: str = sys.executable,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
        on_call: Callable[[str, str, tuple[Any, ...]], Term] | None = None,
    ) -> None:
        self._module = module
        self._on_call = on_call
        path = [*python_path, os.environ.get("PYTHONPATH", "")]
        options = ["--packet=4", "--use_stdio", "--compressed=0", "--buffer_size=65536"]
        self._port = open_port(
            [python, "-u", "-m", "erlport.cli", *options],
            env={"PYTHONPATH": os.pathsep.join(filter(None, path)), **(env or {})},
            cwd=cwd,
        )
        self.process = self._port.process
        #: What was printed so far, as one text.
        self.printed = ""
        #: The messages that ``erlport.erlang.cast`` sent so far, as ``(pid, message)``.
        self.casts: list[tuple[Term, Term]] = []
        #: Errors that belong to no call: each ends the Erlang side of a real ErlPort.
        self.faults: list[Term] = []
        self._responses: dict[int, tuple[str, Term]] = {}
        self._next_id = 0
        self._closed = ""
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(self._port.source,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._port.end(PATIENCE_S)
        self._reader.join(PATIENCE_S)

    # -- to ErlPort -------------------------------------------------------------------------

    def send_frame(self, message: bytes) -> None:
        """A frame with any bytes in it. Raises ``TransportClosed``."""
        self._port.write(encode_header(len(message)) + message)

    def send(self, message: Term) -> None:
        """A message of ErlPort's protocol."""
        self.send_frame(encode_term(message))

    def cast(self, message: Term) -> None:
        """A message for the handler that Python has set, as ``python:cast/2`` sends it."""
        self.send((Atom("M"), _prepare(message)))

    def request(self, function: str, params: Sequence[Term] = ()) -> int:
        """Call ``function``, or ``module:function``, without waiting; returns the call's id."""
        module, colon, name = function.rpartition(":")
        with self._arrived:
            self._next_id += 1
            msgid = self._next_id
        arguments = List(tuple(map(_prepare, params)))
        target = (Atom(module if colon else self._module), Atom(name))
        self.send((Atom("C"), msgid, *target, arguments))
        return msgid

    def close(self) -> None:
        """Close the process's input, as a port does that is closed. Again: no effect."""
        self._port.close_input()

    def kill(self) -> None:
        """End the process by force."""
        self.process.kill()

    # -- from ErlPort -----------------------------------------------------------------------

    def call(self, function: str, params: Sequence[Term] = ()) -> Any:
        """Call a function and wait for its result, a term. Raises ``ErlPortError``."""
        return self.result(self.request(function, params))

    def result(self, msgid: int, timeout_s: float = PATIENCE_S) -> Any:
        """Wait for the response to a request. Raises ``ErlPortError``, ``TransportClosed``."""
        self.wait_until(lambda: msgid in self._responses, timeout_s)
        kind, value = self._responses[msgid]
        if kind == "e":
            raise ErlPortError(value)
        return value

    def wait_until(self, look: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Wait for something to arrive: until ``look()`` is true of it."""
        end = time.monotonic() + timeout_s
        with self._arrived:
            while not look():
                if self._closed:
                    raise TransportClosed(f"{self._closed}\n{self.stderr}")
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not within {timeout_s} s\n{self.stderr}")
                self._arrived.wait(left)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the process to end; returns its exit status (negative: the signal).

        Raises ``TimeoutError`` if it has not ended in time.
        """
        return self._port.wait(timeout_s)

    @property
    def stderr(self) -> str:
        """What the process has written to stderr so far."""
        return self._port.stderr

    # -- parts ------------------------------------------------------------------------------

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb") as source:
            reason = self._read_frames(source)
        with self._arrived:
            self._closed = reason
            self._arrived.notify_all()

    def _read_frames(self, source: BinaryIO) -> str:
        """Take in frames; returns why there are no more."""
        while len(header := source.read(HEADER_BYTES)) == HEADER_BYTES:
            # what is printed to descriptor 1 stands here as well: do not wait for its "frame"
            version = source.read(1)
            if version != b"\x83":
                return f"not ErlPort's protocol: {header + version!r}"
            data = version + source.read(int.from_bytes(header, "big") - 1)
            try:
                self._take(decode_term(data))
            except ValueError as error:
                return f"a frame that Erlang cannot read ({error}): {data[:80]!r}"
        return "ErlPort has ended"

    def _take(self, message: Any) -> None:
        if message[0] == Atom("C"):
            threading.Thread(target=self._answer, args=message[1:5], daemon=True).start()
            return
        with self._arrived:
            if message[0] in (Atom("r"), Atom("e")) and len(message) == 3:
                self._responses[message[1]] = message[0].name, message[2]
            elif message[0] == Atom("e"):
                self.faults.append(message[1])
            elif message[0] == Atom("P"):
                self.printed += as_text(message[1])
            elif message[0] == Atom("M"):
                self.casts.append((message[1], message[2]))
            self._arrived.notify_all()

    def _answer(self, msgid: int, module: Atom, function: Atom, arguments: List) -> None:
        """Answer a call of ``erlport.erlang.call``."""
        try:
            if self._on_call is None:
                raise LookupError("nothing can be called here: see on_call")
            result = self._on_call(module.name, function.name, arguments.items)
            self.send((Atom("r"), msgid, _prepare(result)))
        except TransportClosed:
            pass  # whoever waits for the process is told
        except Exception as error:
            reason = (Atom("erlang"), Atom("error"), str(error).encode(), List())
            self.send((Atom("e"), msgid, reason))


def as_text(term: Term) -> str:
    """The text that a charlist or a binary holds; of any other term how Python shows it."""
    if isinstance(term, bytes):
        return term.decode(errors="replace")
    if isinstance(term, List) and all(type(item) is int for item in term.items):
        return "".join(map(chr, term.items))
    return repr(term)


def _prepare(term: Any) -> Any:
    """The term as ErlPort's Erlang side sends it: what Python cannot read goes as opaque data."""
    if isinstance(term, List):
        return List(tuple(map(_prepare, term.items)))
    if isinstance(term, tuple):
        return tuple(map(_prepare, term))
    if isinstance(term, Map):
        return Map(tuple((_prepare(key), _prepare(value)) for key, value in term.pairs))
    if isinstance(term, ImproperList):
        return ImproperList(tuple(map(_prepare, term.items)), _prepare(term.tail))
    if isinstance(term, Pid | Reference | Function | BitString):
        return (_OPAQUE, Atom("erlang"), encode_term(term)[1:])
    return term

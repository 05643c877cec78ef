"""Whether this installation serves: each transport started for a moment, and one call made.

``bridge doctor`` and the health check of ``bridge-snakepit`` ask. Only a real start tells: packages
can be here and not fit each other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ..errors import BridgeError
from ..testing import PortPeer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STDIO, GRPC, BOTH, SNAKEPIT = "stdio", "grpc", "stdio,grpc", "snakepit"
#: For a start and a call, in seconds: machines are busy.
LIMIT_S = 30.0
_TOOLS = ("--adapter", f"{__package__}.tools", "--max-workers", "1")
_READY = "GRPC_READY:"


class Trial:
    """What came of one transport.

    Attributes:
        fault: What went wrong, the last line that was said of it; empty if the call was answered.
        seconds: From the start of the process to the answer, or to the fault.
    """

    def __init__(self, transport: str, fault: str, seconds: float) -> None:
        self.transport = transport
        self.fault = fault
        self.seconds = seconds


def try_all(transports: Iterable[str]) -> list[Trial]:
    """Try some transports at once, each in processes of its own, on loopback and free ports."""
    names = list(transports)
    with ThreadPoolExecutor(max(1, len(names))) as threads:
        return list(threads.map(try_transport, names))


def try_transport(transport: str) -> Trial:
    """Start a transport, ask it for a sum, and end it.

    Args:
        transport: One of ``STDIO``, ``GRPC``, ``BOTH``, ``SNAKEPIT``.

    Returns:
        What came of it, also if anything raised.
    """
    began = time.monotonic()
    fault = ""
    try:
        answer = _WAYS[transport]()
        if answer != 3:
            fault = f"1 + 2 was answered with {answer!r}"
    except Exception as error:  # whatever its packages raise is what is asked for
        fault = _describe(error)
    return Trial(transport, fault, time.monotonic() - began)


def _describe(error: Exception) -> str:
    """In one line: an RPC's details, or the last line of what was said, where exceptions end."""
    details = getattr(error, "details", None)
    text = details() if callable(details) else str(error)
    lines = [line for line in str(text).splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("bridge: ") if lines else type(error).__name__


# -- the transports -----------------------------------------------------------------------------


def _stdio() -> object:
    with PortPeer(*_TOOLS, ready_timeout_s=LIMIT_S) as peer:
        return peer.call("add", [1, 2])


def _grpc() -> object:
    with _announced("bridge", *_TOOLS, "--transport", GRPC, "--port", "0") as port:
        from .clients import ask_bridge

        return ask_bridge(port, LIMIT_S)


def _both() -> object:
    serving = ("--transport", BOTH, "--port", "0")
    with PortPeer(*_TOOLS, *serving, ready_timeout_s=LIMIT_S) as peer:
        assert peer.ready is not None
        from .clients import ask_bridge

        port = peer.ready["grpc_port"]
        answers = {peer.call("add", [1, 2]), ask_bridge(port, LIMIT_S)}
    return answers.pop() if len(answers) == 1 else answers


def _snakepit() -> object:
    with _announced("bridge.snakepit", *_TOOLS) as port:
        from .clients import ask_snakepit

        return ask_snakepit(port, LIMIT_S)


_WAYS: dict[str, Callable[[], object]] = {
    STDIO: _stdio,
    GRPC: _grpc,
    BOTH: _both,
    SNAKEPIT: _snakepit,
}


@contextmanager
def _announced(*words: str) -> Iterator[int]:
    """A module that says on stdout at which port it serves; it ends with its stdin.

    Raises ``BridgeError`` with what it wrote to stderr if it ends before.
    """
    # of a worker that Snakepit has not started
    env = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEPIT_")}
    with (
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(
            [sys.executable, "-P", "-m", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=env,
        ) as process,
    ):
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            assert process.stdout is not None
            said = (line.decode(errors="replace").strip() for line in process.stdout)
            port = next((line for line in said if line.startswith(_READY)), None)
            if port is None:
                status = process.wait()
                stderr.seek(0)
                text = stderr.read().decode(errors="replace").strip()
                raise BridgeError(text or f"it ended with status {status}")
            yield int(port.removeprefix(_READY))
        finally:
            # its end: whoever started it is gone
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
            limit.cancel()

"""The processes that tests start: their end, what is left of them, and those that many share."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from bridge.testing import PortPeer

P = TypeVar("P")
_FAILED = pytest.StashKey[bool]()


def note_failure(item: pytest.Item) -> None:
    """The test has failed."""
    item.stash[_FAILED] = True


def has_failed(item: pytest.Item) -> bool:
    """Whether the test has failed already, so that what it leaves behind is no news."""
    return item.stash.get(_FAILED, False)


def is_measured() -> bool:
    """Whether each process has to write down, when it ends, which lines it ran."""
    return "COVERAGE_PROCESS_CONFIG" in os.environ


def put_away(peer: PortPeer) -> None:
    """End a bridge at the end of its test: at once, unless it has to write down what it ran."""
    if is_measured() and peer.exit_status is None:
        peer.kill(signal.SIGTERM)
        with suppress(TimeoutError):
            peer.wait(2.0)
    peer.kill()
    peer.__exit__(None, None, None)


@contextmanager
def default_signals() -> Iterator[None]:
    """What is started meanwhile finds no signal ignored or blocked, however this process was started.

    A shell that starts a program in the background, or ``nohup``, has it ignore some, which all that
    it starts inherits. A handler is not inherited: it takes the place of "ignored", and does as
    little. SIGPIPE and SIGXFSZ are Python's own business. On the main thread.
    """
    own = (signal.SIGPIPE, signal.SIGXFSZ)
    ignored = [
        number
        for number in signal.valid_signals()
        if number not in own and signal.getsignal(number) is signal.SIG_IGN
    ]
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class Processes:
    """The children of this process. ``shared``: the ids of those that outlive a test."""

    def __init__(self) -> None:
        self.shared: set[int] = set()

    def children(self) -> set[int]:
        """Those that run and those that nobody has waited for. Empty where there is no /proc."""
        found: set[int] = set()
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return found  # and no need to ask for each thread, of which there may be hundreds
        for task in Path("/proc/self/task").glob("*/children"):
            with suppress(OSError):  # the thread has just ended
                found.update(map(int, task.read_text().split()))
        return found

    def end(self, pids: set[int]) -> list[str]:
        """End children, so that nothing warns of them later; what they are, for a message."""
        if not pids:
            return []
        lines = [f"{pid} {_command(pid)}" for pid in sorted(pids)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # one that nobody has waited for would warn when it is forgotten: during any other test;
        # isinstance() would ask objects that raise on every attribute, which tests have too
        waited = {p.pid: p for p in gc.get_objects() if issubclass(type(p), subprocess.Popen)}
        for pid in pids:
            if pid in waited:
                waited[pid].wait()
            else:
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        return lines


class Shared(Generic[P]):
    """Processes for many tests. The first test starts one, and each leaves it idle.

    If a test does not, it fails, and the next one gets a new process. ``start``: starts one with
    some arguments; what it returns is a context manager and has a ``process``. ``settle``: waits
    until such a process does nothing any more, and raises if that does not come.
    """

    def __init__(
        self, processes: Processes, start: Callable[..., P], settle: Callable[[P], None]
    ) -> None:
        self._processes = processes
        self._start = start
        self._settle = settle
        self._peers: dict[tuple[object, ...], Any] = {}

    def __enter__(self) -> Shared[P]:
        return self

    def __exit__(self, *error: object) -> None:
        for arguments in list(self._peers):
            self._end(arguments)

    @contextmanager
    def lend(self, request: pytest.FixtureRequest, *arguments: object) -> Iterator[P]:
        """The process with these arguments, for the test of ``request``."""
        peer = self._peers.get(arguments)
        if peer is None:
            peer = self._peers[arguments] = self._start(*arguments)
            self._processes.shared.add(peer.process.pid)
        yield peer
        try:
            self._settle(peer)
        except Exception as error:
            peer.process.kill()  # what it does may not end by itself
            self._end(arguments)
            if not has_failed(request.node):
                pytest.fail(
                    f"{request.node.nodeid} has not left the process idle that it shares with "
                    f"other tests, which get a new one: {error!r}",
                    pytrace=False,
                )

    def _end(self, arguments: tuple[object, ...]) -> None:
        peer = self._peers.pop(arguments)
        peer.__exit__(None, None, None)
        self._processes.shared.discard(peer.process.pid)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
    except OSError:
        return ""

"""``grpc.server`` as its pool sees it, step by step: requests whose threads a test holds and lets go."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from bridge import tool
from bridge.calls.job import Job
from bridge.calls.pool import Pool
from bridge.calls.tool_threads import ToolThreads
from bridge.errors import CallError
from bridge.transports.grpc.behavior import Place
from bridge.transports.grpc.caller import ToolCaller
from bridge.transports.grpc.exchange import Responses
from bridge.transports.grpc.executor import GrpcExecutor
from bridge.transports.grpc.rpc import Rpc
from tests.tool_bench import Bench
from tests.waiting import passed


def nothing(*_: object) -> None:
    """The step that a test does not hold up."""


class Hold:
    """A tool that blocks until ``leave`` is set, and notes what it was called with."""

    def __init__(self) -> None:
        self.began, self.leave = threading.Event(), threading.Event()
        self.ran: list[str] = []

        @tool
        def hold(name: str) -> str:
            self.ran.append(name)
            self.began.set()
            passed(self.leave)
            return name

        self.tool = hold


class ScriptedLock:
    """A lock that tells when somebody has found it taken."""

    def __init__(self) -> None:
        self.contended = threading.Event()
        self._lock = threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        if self._lock.acquire(blocking=False):
            return True
        self.contended.set()
        return blocking and self._lock.acquire()

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


class ScriptedPool(Pool):
    """A pool with a step of the test's before and after a job is queued."""

    def __init__(self, max_workers: int, max_queue: int) -> None:
        # one worker, but as one of many: whose thread may be replaced
        super().__init__(max_workers, max_queue, threads=ToolThreads(), spare=1)
        self.before_submit: Callable[[Job], object] = nothing
        self.after_submit: Callable[[Job], object] = nothing

    def submit(self, job: Job) -> None:
        self.before_submit(job)
        super().submit(job)
        self.after_submit(job)


class Plain(Responses):
    """Messages that are the text of a value."""

    def encode_result(self, value: Any) -> bytes:
        return str(value).encode()


class Context:
    """gRPC's of one request: ``end`` says that it is over, as gRPC does when it is."""

    def __init__(self) -> None:
        self.is_over = False
        self.at_time_remaining: Callable[[], object] = nothing
        self.at_add_callback: Callable[[], object] = nothing
        self._callbacks: list[Callable[[], object]] = []

    def time_remaining(self) -> float | None:
        self.at_time_remaining()
        return None

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def add_callback(self, callback: Callable[[], object]) -> bool:
        self.at_add_callback()
        if self.is_over:
            return False
        self._callbacks.append(callback)
        return True

    def end(self) -> None:
        self.is_over = True
        for callback in self._callbacks:
            callback()


class ScriptedReception:
    """gRPC's end of a request whose message comes when the test says so.

    ``begun``: it has been asked for. ``status``: what the request was answered with without a handler.
    """

    is_unary = True
    #: Of the message.
    size_bytes = 11

    def __init__(self, peer: str = "somebody", place: Place | None = None) -> None:
        self.begun = threading.Event()
        self.behavior = SimpleNamespace(place=place)
        self.status: Any = None
        self.cancelled = self.is_over = False
        self.come: Callable[[], object] = nothing
        self._peer = peer

    def peer(self) -> str:
        return self._peer

    def begin(self, came: Callable[[], object]) -> bool:
        self.come = came
        self.begun.set()
        return not self.is_over

    def arguments(self, message: Callable[[], Any]) -> tuple[Any, ...]:
        return (message,)

    def take(self) -> bytes:
        return b"the message"

    def refuse(self, status: Any) -> None:
        self.status = status

    def cancel(self) -> None:
        self.cancelled = True

    @staticmethod
    def of(args: tuple[Any, ...]) -> ScriptedReception | None:
        return args[0] if args and isinstance(args[0], ScriptedReception) else None


class Visit:
    """One request. Its thread waits for ``message``, then has a tool called and keeps the outcome.

    ``waits``: its thread has come so far. ``handled``: how often it was handled.
    """

    def __init__(self, caller: ToolCaller, tool: str, *args: Any) -> None:
        self.context = Context()
        self.message, self.waits, self.done = (threading.Event() for _ in range(3))
        self.handled = 0
        self.came_with: bytes | None = None
        self.thread: threading.Thread | None = None
        self.rpc: Rpc | None = None
        self._outcome: bytes | CallError | None = None
        self._caller = caller
        self._tool = tool
        self._args = list(args)

    def handle(self, message: Callable[[], Any] = nothing) -> None:
        """What gRPC gives to its pool."""
        self.came_with = message()
        self.handled += 1
        self.thread = threading.current_thread()
        self.waits.set()
        passed(self.message)
        try:
            self._outcome = self._caller.call(self.context, Plain(), self._tool, self._args)
        except CallError as error:
            self._outcome = error
        self.done.set()

    @property
    def outcome(self) -> bytes | CallError:
        """The response, or the error; waits for it."""
        passed(self.done)
        assert self._outcome is not None
        return self._outcome


class GrpcBench(Bench):
    """Tools, and an executor that hands requests to their pool. The watch looks when told."""

    def __init__(self, *functions: Callable[..., Any], max_workers: int = 1) -> None:
        self.scripted = ScriptedPool(max_workers, 100)
        super().__init__(*functions, pool=self.scripted)
        receive: Any = ScriptedReception.of
        self.executor = GrpcExecutor(self.dispatcher, receive)
        self.caller = ToolCaller(self.dispatcher, self.executor, 1 << 20)
        weakref.finalize(self, self.executor.control.shutdown, wait=False)

    def visit(self, tool: str, *args: Any, message: bool = True) -> Visit:
        """A request that is submitted; ``message``: it is here already."""
        visit = self.prepare(tool, *args, message=message)
        visit.rpc = self.executor.submit(visit.handle)
        return visit

    def visit_late(self, reception: ScriptedReception, tool: str, *args: Any) -> Visit:
        """A request that is submitted, and whose message comes by ``reception``."""
        visit = self.prepare(tool, *args)
        visit.rpc = self.executor.submit(visit.handle, reception)
        return visit

    def prepare(self, tool: str, *args: Any, message: bool = True) -> Visit:
        """A request that the test submits."""
        visit = Visit(self.caller, tool, *args)
        if message:
            visit.message.set()
        return visit

"""``bridge check``: runs an adapter's tools from several threads and reports the races.

Each tool runs against itself, then all are mixed, because many races need two different tools;
always on a fresh instance, because what happens on first use is lost after a warm-up. The threads
begin together at a barrier, and change often (``sys.setswitchinterval``). The detector does not
need the bad interleaving to happen: it sees that nothing prevents it.
"""

from __future__ import annotations

import _thread
import sys
import threading
from contextlib import nullcontext
from functools import partial

from ..context import Context, running_call
from ..errors import AdapterError, CallError
from ..event_loop import EventLoop
from ..loading import adapt, create, resolve
from .checker import ThreadSafetyChecker
from .report import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ..loading import LoadedAdapter
    from ..tool import Tool

_SWITCH_INTERVAL_S = 1e-5
_PATIENCE_S = 30.0
_GATE_S = 0.3


def check_adapter(
    adapter: str, app_dir: str | None = None, threads: int = 4, calls: int = 50
) -> Report:
    """Check an adapter, named as for ``bridge --adapter``. ``calls``: at most so many in all.

    Raises ``AdapterError`` if it cannot be imported or has no tool that could be called.
    """
    module = adapter.partition(":")[0]
    packages = (module, module.partition(".")[0]) if not module.startswith("bridge.") else (module,)
    with ThreadSafetyChecker(
        packages=packages, directory=app_dir, note=lambda finding: None
    ) as checker:
        target = resolve(adapter, app_dir)
        tools = adapt(adapter, create(adapter, target)).tools
        plan = [(tool, example) for tool in tools.values() for example in _examples(tool)]
        if not plan:
            raise AdapterError(
                f"no tool of {adapter} can be called without arguments: give examples, "
                "@tool(examples=[[1, 2]])"
            )
        fresh = partial(_fresh, adapter, target)
        _Check(checker, fresh, threads).run(plan, calls)
        return checker.report()


def _fresh(name: str, target: object) -> LoadedAdapter:
    return adapt(name, create(name, target))


class _Check:
    def __init__(
        self, checker: ThreadSafetyChecker, fresh: Callable[[], LoadedAdapter], threads: int
    ) -> None:
        self._checker = checker
        self._fresh = fresh
        self._threads = threads

    def run(self, plan: Sequence[tuple[Tool, Any]], calls: int) -> None:
        names = list(dict.fromkeys(tool.name for tool, _ in plan))
        rounds = [[(t.name, e) for t, e in plan if t.name == name] for name in names]
        if len(names) > 1:
            rounds.append([(tool.name, example) for tool, example in plan])
        each = max(1, calls // len(rounds) // self._threads)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        try:
            for steps in rounds:
                self._round(steps, max(each, len(steps)) if steps is rounds[-1] else each)
        finally:
            sys.setswitchinterval(interval)

    def _round(self, steps: Sequence[tuple[str, Any]], each: int) -> None:
        """Every thread calls ``each`` tools, each beginning at another one."""
        adapter = self._fresh()
        self._checker.watch(adapter.target)
        adapter.setup()
        self._checker.watch(adapter.target)
        tools = adapter.tools
        gate = _Gate(self._threads)
        loop = EventLoop()  # one for all, as the bridge has it
        locks = {name: threading.Lock() for name, tool in tools.items() if tool.serial}

        def work(first: int) -> None:
            for index in range(each):
                gate.meet()
                name, example = steps[(first + index) % len(steps)]
                run_tool(self._checker, tools[name], example, loop, locks.get(name))

        threads = [
            threading.Thread(target=work, args=(first,), daemon=True)
            for first in range(self._threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE_S)
        adapter.close()


class _Gate:
    """Where threads wait for each other before every call. Makes no order between them.

    (``threading.Barrier`` does: the detector knows that what comes before it is over.) When the
    others do not come, because a call waits for another one, it stays open.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = _thread.allocate_lock()
        self._waiting: list[_thread.LockType] = []
        self._open = False

    def meet(self) -> None:
        """Wait until all threads are here."""
        own = _thread.allocate_lock()
        own.acquire()
        with self._lock:
            self._waiting.append(own)
            if len(self._waiting) == self._threads or self._open:
                for waiting in self._waiting:
                    waiting.release()
                self._waiting = []
        if not own.acquire(timeout=_GATE_S):
            self._open = True


def run_tool(
    checker: ThreadSafetyChecker, tool: Tool, example: Any, loop: EventLoop, lock: Any
) -> None:
    """Call a tool once, on this thread, to its end. Its exceptions are its own business.

    ``lock``: held meanwhile, for a tool that never runs twice at once.
    """
    params = list(example) if isinstance(example, list | tuple) else dict(example)
    args, kwargs = tool.bind(params)
    call = LocalCall(tool.name)
    running_call.set(call)
    if tool.wants_context:
        tool.add_context(args, kwargs, Context(call))
    try:
        with lock or nullcontext():
            value = checker.wrap(tool.function, tool.name, tool.serial)(*args, **kwargs)
            if hasattr(value, "__await__"):
                value = loop.run(value, call.on_interrupt)
            if hasattr(value, "__aiter__"):
                value = loop.iterate(value, call.on_interrupt)
            if tool.streaming:
                for _ in value:
                    pass
    except Exception:
        pass


class LocalCall:
    """What a context says of a call that nobody made from outside."""

    key = 0
    session: str | None = None
    metadata: Mapping[str, str] = {}
    deadline: float | None = None
    interruption: CallError | None = None
    elixir = None

    def __init__(self, tool_name: str) -> None:
        self.tool_name = tool_name

    def on_interrupt(self, callback: Callable[[], object]) -> None:
        """It never is."""

    def forget(self, callback: Callable[[], object]) -> None:
        """There is nothing to forget."""

    def wait(self, seconds: float | None) -> bool:
        return False

    def progress(self, done: float, total: float | None, text: str | None) -> None:
        """Nobody sees it."""

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None:
        """Nobody reads it."""


def _examples(tool: Tool) -> list[Any]:
    if tool.examples:
        return list(tool.examples)
    return [] if any(parameter.required for parameter in tool.parameters) else [[]]

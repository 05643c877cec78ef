"""``bridge check``: runs an adapter's tools from several threads and reports the races.

Each tool runs against itself, then all are mixed, because many races need two different tools;
always on a fresh instance, because what happens on first use is lost after a warm-up. The threads
begin together at a barrier, and change often (``sys.setswitchinterval``). The detector does not
need the bad interleaving to happen: it sees that nothing prevents it.

Afterwards the same calls are made one after another. What a tool raises, or returns, only when
calls run at the same time is named, too.
"""

from __future__ import annotations

import _thread
import sys
import threading
import traceback
from contextlib import nullcontext
from functools import partial

from ..calls.event_loop import EventLoop
from ..context import Context, running_call
from ..errors import AdapterError, CallError
from ..loading import adapt, create, resolve
from .checker import ThreadSafetyChecker, ThreadSafetyError
from .detector.findings import OBSERVED, Access, Finding
from .example_arguments import guess_arguments
from .report import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ..loading import LoadedAdapter
    from ..tool import Tool
    from .detector.findings import Frame

    #: Tools by name, with the index of an example.
    Steps = Sequence[tuple[str, int]]

#: How many threads call tools at once, and about how many calls they make in all.
THREADS, CALLS = 4, 50
_SWITCH_INTERVAL_S = 1e-5
_PATIENCE_S = 30.0
_GATE_S = 0.3
#: A round shorter than that is not parted.
_LONG = 8


def check_adapter(
    adapter: str, app_dir: str | None = None, threads: int = THREADS, calls: int = CALLS
) -> Report:
    """Check an adapter, named as for ``bridge --adapter``. ``calls``: at most so many at once, and
    as many one after another.

    Raises ``AdapterError`` if it cannot be imported or has no tool that could be called.
    """
    with ThreadSafetyChecker.for_adapter(adapter, app_dir, note=lambda finding: None) as checker:
        target = resolve(adapter, app_dir)
        tools = adapt(adapter, create(adapter, target)).tools
        examples = {name: _examples(tool) for name, tool in tools.items()}
        if not any(examples.values()):
            raise AdapterError(
                f"no tool of {adapter} can be called without arguments: give examples, "
                "@tool(examples=[[1, 2]])"
            )
        fresh = partial(_fresh, adapter, target)
        check = _Check(checker, fresh, threads, examples)
        check.run(calls)
        not_run = [name for name, found in examples.items() if not found]
        return checker.report(not_run, check.differences)


def _fresh(name: str, target: object) -> LoadedAdapter:
    return adapt(name, create(name, target))


def _examples(tool: Tool) -> list[Any]:
    if tool.examples:
        return list(tool.examples)
    if any(parameter.required for parameter in tool.parameters):
        return list(guess_arguments(tool))
    return [[]]


class _Check:
    """The rounds of a check. ``differences``: what tools returned only when they ran at once."""

    def __init__(
        self,
        checker: ThreadSafetyChecker,
        fresh: Callable[[], LoadedAdapter],
        threads: int,
        examples: Mapping[str, list[Any]],
    ) -> None:
        self._checker = checker
        self._fresh = fresh
        self._threads = threads
        self._examples = examples
        self.differences: list[str] = []

    def run(self, calls: int) -> None:
        rounds = self._rounds(calls)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        try:
            at_once = _Outcomes()
            for steps, each in rounds:
                self._round(steps, each, at_once)
            # not before: what is lost after a warm-up would be lost
            in_turn = _Outcomes()
            for steps, each in rounds:
                self._round(steps, each, in_turn, in_turn=True)
        finally:
            sys.setswitchinterval(interval)
        for name, error in at_once.new_errors(in_turn):
            self._checker.add(_error_finding(name, error, self._checker.stack_of(error)))
        self.differences = at_once.new_results(in_turn)

    def _rounds(self, calls: int) -> list[tuple[Steps, int]]:
        """The steps of each round, and how many each thread takes."""
        steps: dict[str, Steps] = {
            name: [(name, index) for index in range(len(found))]
            for name, found in self._examples.items()
            if found
        }
        rounds = list(steps.values())
        if len(rounds) > 1:
            rounds.append([step for found in rounds for step in found])
        each = max(1, calls // len(rounds) // self._threads)
        if each >= _LONG:
            # what happens on first use gets another chance
            short = each // 4
            return [(found, part) for found in rounds for part in (each - 2 * short, short, short)]
        # the last: at least every example once, if the calls suffice
        mixed = min(len(rounds[-1]), max(1, calls // 2 // self._threads))
        return [(found, each) for found in rounds[:-1]] + [(rounds[-1], max(each, mixed))]

    def _round(
        self, steps: Steps, each: int, outcomes: _Outcomes, *, in_turn: bool = False
    ) -> None:
        """Every thread calls ``each`` tools, each beginning at another one."""
        adapter = self._fresh()
        self._watch(adapter.target, in_turn)
        adapter.setup()
        self._watch(adapter.target, in_turn)
        tools = adapter.tools
        gate = _Gate(self._threads)
        turn = _Turn() if in_turn else nullcontext()
        loop = EventLoop()  # one for all, as the bridge has it
        locks = {name: threading.Lock() for name, tool in tools.items() if tool.serial}

        def work(first: int) -> None:
            for index in range(each):
                gate.meet()
                name, example = steps[(first + index) % len(steps)]
                with turn:
                    run = _Run(self._checker, tools[name], loop, locks.get(name), in_turn)
                    outcomes.add((name, example), *run(self._examples[name][example]))

        threads = [
            threading.Thread(target=work, args=(first,), daemon=True)
            for first in range(self._threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE_S)
        adapter.close()
        if isinstance(turn, _Turn):
            outcomes.comparable &= not turn.given_up

    def _watch(self, target: Any, in_turn: bool) -> None:
        if not in_turn:
            self._checker.watch(target)


class _Outcomes:
    """What calls returned and raised, by tool and example. ``comparable``: were they made as
    intended?"""

    def __init__(self) -> None:
        self.comparable = True
        self._results: dict[tuple[str, int], list[Any]] = {}
        self._errors: dict[tuple[str, type], BaseException] = {}

    def add(self, step: tuple[str, int], result: Any, error: BaseException | None) -> None:
        """Any thread may call."""
        if error is None:
            self._results.setdefault(step, []).append(result)
        else:
            self._errors.setdefault((step[0], type(error)), error)

    def new_errors(self, others: _Outcomes) -> list[tuple[str, BaseException]]:
        """The errors of kinds that none of the others is of; but not what says no on purpose.

        Each with the name of its tool.
        """
        return [
            (name, error)
            for (name, kind), error in self._errors.items()
            if others.comparable
            and (name, kind) not in others._errors
            and not isinstance(error, CallError | TimeoutError | ThreadSafetyError)
        ]

    def new_results(self, others: _Outcomes) -> list[str]:
        """The tools that always returned the same there, and something else here."""
        found = []
        for (name, _), results in self._results.items():
            expected = others._results.get((name, _), [])
            if (
                not others.comparable
                or len(expected) < 2
                or not all(_same(expected[0], result) for result in expected)
            ):
                continue
            other = [result for result in results if not _same(expected[0], result)]
            if other:
                found.append(
                    f"{name} returned {_short(expected[0])}, at once also {_short(other[0])}"
                )
        return list(dict.fromkeys(found))


def _error_finding(name: str, error: BaseException, stack: Sequence[Frame]) -> Finding:
    last = traceback.format_exception_only(error)[-1].strip()
    return Finding(
        OBSERVED,
        name,
        f"raises {last!r}, but only when calls run at the same time",
        "look for what another call may have changed before that line",
        Access(0, 0, "raise", frozenset(), stack or [("", 0, name)], name),
    )


def _same(left: Any, right: Any) -> bool:
    try:
        return bool(left == right)
    except Exception:  # arrays, and objects of the program
        return True


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Turn:
    """Lets one thread run at a time; but not when one waits for what another is to do."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self.given_up = False

    def __enter__(self) -> None:
        if not self.given_up and not self._lock.acquire(timeout=_GATE_S):
            self.given_up = True

    def __exit__(self, *exception: object) -> None:
        if self._lock.locked():
            self._lock.release()


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


class _Run:
    """Calls a tool once, on this thread, to its end.

    ``lock``: held meanwhile, for a tool that never runs twice at once. ``plain``: not as a call of
    its own, and not counted.
    """

    def __init__(
        self, checker: ThreadSafetyChecker, tool: Tool, loop: EventLoop, lock: Any, plain: bool
    ) -> None:
        self._checker = checker
        self._tool = tool
        self._loop = loop
        self._lock = lock or nullcontext()
        self._plain = plain

    def __call__(self, example: Any) -> tuple[Any, BaseException | None]:
        """Its result, or what it raised."""
        try:
            with self._lock:
                return self._call(example), None
        except Exception as error:
            return None, error

    def _call(self, example: Any) -> Any:
        tool = self._tool
        args, kwargs = tool.bind(
            list(example) if isinstance(example, list | tuple) else dict(example)
        )
        call = LocalCall(tool.name)
        running_call.set(call)
        if tool.wants_context:
            tool.add_context(args, kwargs, Context(call))
        function = tool.function
        if not self._plain:
            function = self._checker.wrap(function, tool.name, tool.serial)
        value = function(*args, **kwargs)
        if hasattr(value, "__await__"):
            value = self._loop.run(value, call.on_interrupt)
        if hasattr(value, "__aiter__"):
            value = self._loop.iterate(value, call.on_interrupt)
        return list(value) if tool.streaming else value


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

    def needs_worker(self) -> LocalCall:
        """It has a thread of its own."""
        return self

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

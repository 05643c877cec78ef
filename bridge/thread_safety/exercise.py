"""``bridge check``: runs an adapter's tools on several threads and reports the races.

Each round of calls (``rounds.py``) runs on a fresh instance, because what happens on first use is
lost after a warm-up. The calls go the way of every other call, through a dispatcher to the workers of
a pool; they begin together, and the threads change often: by a short switch interval, and where the
``Schedule`` says. The detector does not need the bad interleaving to happen: it sees that nothing
prevents it.

Afterwards the same calls are made one after another, in several orders. What a tool raises, or
returns, only when calls run at the same time is a finding, too.

A check always ends: of calls that wait for each other one is ended by an exception, and when the time
is up, the report says what is known, and where each thread stands.
"""

from __future__ import annotations

import _thread
import contextvars
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..calls import ToolThreads
from ..errors import AdapterError
from ..loading import LoadedAdapter, adapt, create, resolve
from ..tool import Tool
from .checker import ThreadSafetyChecker
from .detector import OBSERVED, SHOWN_FRAMES, WRONG, Access, Finding, Frame
from .outcomes import Difference, Failure, Outcomes, Step
from .placement import PATIENCE_S, Attempt, Placement
from .process_state import ONLY_SEEN_HERE, ProcessState
from .reports import Report
from .rounds import Round, fitting_examples, in_turn, rounds_of, waves_of, within_limits
from .schedule import Schedule
from .silences import Scope
from .watched_calls import change_of

#: How many threads call tools at once, and about how many calls they make in all.
THREADS, CALLS = 4, 50
#: How long a check may take, in seconds.
LIMIT_S = 60.0
#: How often each round is repeated, with other schedules.
EFFORT = 1
_SWITCH_INTERVAL_S = 1e-5
#: How long after the limit a check has ended that keeps to it.
_GRACE_S = 3.0
#: In how many orders the calls are made one after another, if results differ from those at once: where
#: races were found already, and where the results are all there is.
_ORDERS, _MORE_ORDERS = 6, 40


def check_adapter(
    adapter: str,
    app_dir: str | None = None,
    threads: int = THREADS,
    calls: int = CALLS,
    *,
    limit_s: float = LIMIT_S,
    seed: int = 0,
    effort: int = EFFORT,
    strict: bool = False,
    overdue: Callable[[Report], object] | None = None,
) -> Report:
    """Check an adapter: run its tools, and report what is not safe.

    Args:
        adapter: as for ``bridge --adapter``.
        app_dir: where to import it from; default: the working directory.
        threads: on how many its tools run at once, at least 2.
        calls: at most about so many at once, and as many one after another.
        limit_s: after so many seconds it ends with what it knows.
        seed: what the schedules are drawn from: the same one draws the same.
        effort: how often each round of calls is repeated, each time with another schedule.
        strict: what is safe in CPython alone fails, too.
        overdue: called with what is known, on another thread, if ``setup()`` or ``close()`` or an
            import keeps the check from ending in time.

    Returns:
        What was found.

    Raises:
        AdapterError: it cannot be imported, or has no tool that could be called.
    """
    with ThreadSafetyChecker.for_adapter(adapter, app_dir, note=lambda finding: None) as checker:
        exercise = Exercise(
            checker, adapter, app_dir, threads, calls, limit_s, seed, effort, strict
        )
        if overdue is None:
            return exercise.run()
        with _alarm(limit_s + _GRACE_S, lambda: overdue(exercise.stop())):
            return exercise.run()


class Exercise:
    """One check of an adapter; for the arguments see ``check_adapter``."""

    def __init__(
        self,
        checker: ThreadSafetyChecker,
        adapter: str,
        app_dir: str | None,
        threads: int,
        calls: int,
        limit_s: float,
        seed: int,
        effort: int,
        strict: bool = False,
    ) -> None:
        self._checker = checker
        checker.ends_deadlocks = True
        self._name = adapter
        self._app_dir = app_dir
        self._threads = threads
        self._calls = calls
        self._limit_s = limit_s
        self._end = time.monotonic() + limit_s
        self._chance = random.Random(seed)
        self._effort = effort
        self._strict = strict
        self._schedule = Schedule(self._chance)
        self._at_once = Outcomes(checker.thread_number, checker.path)
        self._not_run: list[str] = []
        self._misfits: list[str] = []
        self._stopped: list[str] = []
        self._target: object = None
        self._examples: dict[str, list[Any]] = {}

    def run(self) -> Report:
        """Make the calls."""
        self._target = resolve(self._name, self._app_dir)
        tools = self._create().tools
        self._examples, misfits = fitting_examples(tools)
        if not any(self._examples.values()):
            raise AdapterError(
                f"no tool of {self._name} can be called without arguments: give examples, "
                "@tool(examples=[[1, 2]])" + "".join(f"; {misfit}" for misfit in misfits)
            )
        self._at_once.followed = {name for name, tool in tools.items() if _is_followed(tool)}
        self._not_run = [name for name, found in self._examples.items() if not found]
        self._misfits = misfits
        rounds = rounds_of(self._examples, self._threads, self._calls)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        try:
            for each in rounds * self._effort:
                if not self._is_over():
                    self._run_at_once(each)
        finally:
            sys.setswitchinterval(interval)
        with self._checker.looking_away():
            self._compare(rounds)
        return self.report()

    def report(self) -> Report:
        """What is known so far. Any thread may ask."""
        notes = [f"{each.tool} {each.text}" for each in self._at_once.notes]
        return self._checker.report(
            scope=None if self._stopped else Scope(self._target, self._not_run),
            strict=self._strict,
            not_run=self._not_run,
            misfits=self._misfits,
            differences=notes,
            stopped=self._stopped,
        )

    def stop(self) -> Report:
        """Note that the time is up, and where each thread stands. Any thread may call."""
        if not self._stopped:
            self._stopped = [
                f"the check did not come to its end within {self._limit_s:g} s",
                *_where_threads_stand(self._checker.stacks_of_threads()),
            ]
        return self.report()

    def _note_hanging(self) -> None:
        """Calls of several tools wait for what does not come."""
        if not self._stopped and time.monotonic() < self._end:
            self._stopped = [
                f"calls that run at the same time did not end within {PATIENCE_S:g} s",
                *_where_threads_stand(self._checker.stacks_of_threads()),
            ]

    def _is_over(self) -> bool:
        if time.monotonic() > self._end:
            self.stop()
        return bool(self._stopped)

    def _create(self) -> LoadedAdapter:
        return adapt(self._name, create(self._name, self._target))

    # -- at once ----------------------------------------------------------------------------

    def _run_at_once(self, each: Round) -> None:
        """A round under watch: every thread calls one tool after another, together with the others."""
        adapter, checker = self._create(), self._checker
        checker.watch(adapter.target)
        tool_threads = _set_up(adapter)
        checker.watch(adapter.target)
        outcomes = self._at_once
        tools = {
            name: checker.watch_tool(tool, outcomes.raised, outcomes.gave_up)
            for name, tool in adapter.tools.items()
        }
        waves = [
            [self._attempt(step, outcomes) for step in part]
            for wave in waves_of(each, self._threads)
            for part in within_limits(wave, tools)
        ]
        # one tool alone may wait for what another one brings
        alone = len({name for name, _ in each[0]}) < sum(map(bool, self._examples.values()))
        hanging = None if alone else self._note_hanging
        with checker.stirred_by(self._schedule):
            self._place(adapter, tools, waves, tool_threads, hanging)

    def _place(
        self,
        adapter: LoadedAdapter,
        tools: Mapping[str, Tool],
        waves: Sequence[Sequence[Attempt]],
        tool_threads: ToolThreads,
        hanging: Callable[[], object] | None = None,
    ) -> bool:
        """Make calls, and close the adapter. Returns whether they were made as intended."""
        state = ProcessState()
        chose = Placement(tools, self._threads, waves, tool_threads).run(self._end, hanging)
        for what in ONLY_SEEN_HERE.intersection(state.changed()):
            name = waves[0][0].tool
            self._checker.add(change_of(what, tools[name], self._checker.thread_number()))
        if not self._is_over():
            tool_threads.end_loop()
            adapter.close(tool_threads.run_hook)
        return chose

    def _attempt(self, step: Step, outcomes: Outcomes) -> Attempt:
        name, index = step
        example = self._examples[name][index]
        params = list(example) if isinstance(example, list | tuple) else dict(example)
        return Attempt(name, params, outcomes.peer(step))

    # -- one after another ------------------------------------------------------------------

    def _compare(self, rounds: Sequence[Round]) -> None:
        """Make the calls in turn, and report what they do only when they are made at once."""
        # not before: what is lost after a warm-up would be lost
        outcomes = Outcomes(self._checker.thread_number, self._checker.path)
        orders = 0
        while not self._is_over():
            chance = None if orders == 0 else self._chance
            for each in rounds:
                if not self._is_over():
                    self._run_in_turn(in_turn(each, self._threads, chance), outcomes)
            orders += 1
            differ = any(not each.expected for each in self._at_once.new_results(outcomes))
            if not differ or orders >= (_ORDERS if self._checker.findings else _MORE_ORDERS):
                break
        if self._stopped:
            return
        for failure in self._at_once.new_failures(outcomes):
            self._checker.add(self._raised(failure))
        for difference in self._at_once.new_results(outcomes):
            if difference.expected:
                self._at_once.notes.append(difference)
            else:
                self._checker.add(self._returned(difference, orders))

    def _run_in_turn(self, steps: Sequence[Step], outcomes: Outcomes) -> None:
        """The same calls, on as many threads, but only one at a time; and nobody watches."""
        adapter = self._create()
        tool_threads = _set_up(adapter)
        waves = [[self._attempt(step, outcomes)] for step in steps]
        tools = {name: self._follow(tool) for name, tool in adapter.tools.items()}
        outcomes.comparable &= self._place(adapter, tools, waves, tool_threads)

    def _follow(self, tool: Tool) -> Tool:
        return self._checker.follow_tool(tool) if _is_followed(tool) else tool

    # -- findings ---------------------------------------------------------------------------

    def _raised(self, failure: Failure) -> Finding:
        name = failure.tool
        stack = () if failure.error is None else self._checker.stack_of(failure.error)
        access = Access(failure.thread, 0, "raise", frozenset(), stack or [("", 0, name)], name)
        return Finding(
            OBSERVED,
            name,
            f"raises {failure.text!r}, but only when calls run at the same time",
            "look for what another call may have changed before that line",
            access,
        )

    def _returned(self, difference: Difference, orders: int) -> Finding:
        name = difference.tool
        access = Access(
            difference.thread,
            0,
            "return",
            frozenset(),
            [self._checker.place_of(self._create().tools[name])],
            name,
        )
        return Finding(
            WRONG,
            name,
            f"{difference.text}, in none of {orders} orders of the same calls one after another",
            "another call comes between two steps of this one: hold one lock over both",
            access,
        )


def _set_up(adapter: LoadedAdapter) -> ToolThreads:
    """Set the adapter up, as a process that serves it does. Returns what its threads will need."""
    tool_threads = ToolThreads(contextvars.copy_context())
    adapter.setup(tool_threads.run_hook)
    tool_threads.begin_calls(adapter)
    return tool_threads


def _is_followed(tool: Tool) -> bool:
    # a task takes its branches where others do, and a stream from part to part
    return not tool.is_async and not tool.streaming


@contextmanager
def _alarm(after_s: float, ring: Callable[[], object]) -> Iterator[None]:
    """Call ``ring`` on another thread if the block takes longer than that."""
    # neither is known to the checker
    over = _thread.allocate_lock()
    over.acquire()

    def wait() -> None:
        if not over.acquire(timeout=after_s):
            ring()

    _thread.start_new_thread(wait, ())
    try:
        yield
    finally:
        over.release()


def _where_threads_stand(stacks: Mapping[str, Sequence[Frame]]) -> list[str]:
    lines = []
    for thread, stack in stacks.items():
        lines.append(f"{thread} stands at")
        lines += [f"  {file}:{line} in {name}" for file, line, name in stack[:SHOWN_FRAMES]]
    return lines

"""``bridge check``: runs an adapter's tools on several threads and reports the races.

Each tool runs against itself, then all are mixed, because many races need two different tools;
always on a fresh instance, because what happens on first use is lost after a warm-up. The calls go
the way of every other call, through a dispatcher to the workers of a pool; they begin together, and
the threads change often (``sys.setswitchinterval``). The detector does not need the bad
interleaving to happen: it sees that nothing prevents it.

Afterwards the same calls are made one after another. What a tool raises, or returns, only when
calls run at the same time is named, too.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..calls import ToolThreads
from ..errors import AdapterError
from ..loading import LoadedAdapter, adapt, create, resolve
from ..tool import Tool
from .checker import ThreadSafetyChecker
from .detector import OBSERVED, Access, Finding
from .example_arguments import guess_arguments
from .outcomes import Failure, Outcomes, Step
from .placement import Attempt, Placement
from .report import Report

#: How many threads call tools at once, and about how many calls they make in all.
THREADS, CALLS = 4, 50
_SWITCH_INTERVAL_S = 1e-5
#: A round shorter than that is not parted.
_LONG = 8

#: What one thread after another begins with, and how many of them each thread makes.
Round: TypeAlias = tuple[Sequence[Step], int]


def check_adapter(
    adapter: str, app_dir: str | None = None, threads: int = THREADS, calls: int = CALLS
) -> Report:
    """Check an adapter: run its tools, and report what is not safe.

    Args:
        adapter: as for ``bridge --adapter``.
        app_dir: where to import it from; default: the working directory.
        threads: on how many its tools run at once, at least 2.
        calls: at most about so many at once, and as many one after another.

    Returns:
        What was found.

    Raises:
        AdapterError: it cannot be imported, or has no tool that could be called.
    """
    with ThreadSafetyChecker.for_adapter(adapter, app_dir, note=lambda finding: None) as checker:
        target = resolve(adapter, app_dir)
        tools = _create(adapter, target).tools
        examples = {name: _examples(tool) for name, tool in tools.items()}
        if not any(examples.values()):
            raise AdapterError(
                f"no tool of {adapter} can be called without arguments: give examples, "
                "@tool(examples=[[1, 2]])"
            )
        rounds = _rounds(examples, threads, calls)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        try:
            at_once = Outcomes()
            for each in rounds:
                _run_at_once(checker, _create(adapter, target), examples, each, threads, at_once)
            # not before: what is lost after a warm-up would be lost
            in_turn = Outcomes()
            for each in rounds:
                _run_in_turn(_create(adapter, target), examples, each, threads, in_turn)
        finally:
            sys.setswitchinterval(interval)
        for failure in at_once.new_failures(in_turn):
            checker.add(_finding(checker, failure))
        not_run = [name for name, found in examples.items() if not found]
        return checker.report(not_run, at_once.new_results(in_turn))


def _create(name: str, target: object) -> LoadedAdapter:
    return adapt(name, create(name, target))


def _examples(tool: Tool) -> list[Any]:
    if tool.examples:
        return list(tool.examples)
    if any(parameter.required for parameter in tool.parameters):
        return list(guess_arguments(tool))
    return [[]]


def _rounds(examples: Mapping[str, list[Any]], threads: int, calls: int) -> list[Round]:
    """The steps of each round, and how many each thread takes."""
    steps: list[Sequence[Step]] = [
        [(name, index) for index in range(len(found))] for name, found in examples.items() if found
    ]
    if len(steps) > 1:
        steps.append([step for found in steps for step in found])
    each = max(1, calls // len(steps) // threads)
    if each >= _LONG:
        # what happens on first use gets another chance
        short = each // 4
        return [(found, part) for found in steps for part in (each - 2 * short, short, short)]
    # the last: at least every example once, if the calls suffice
    mixed = min(len(steps[-1]), max(1, calls // 2 // threads))
    return [(found, each) for found in steps[:-1]] + [(steps[-1], max(each, mixed))]


def _run_at_once(
    checker: ThreadSafetyChecker,
    adapter: LoadedAdapter,
    examples: Mapping[str, list[Any]],
    each: Round,
    threads: int,
    outcomes: Outcomes,
) -> None:
    """A round under watch: every thread calls one tool after another, together with the others."""
    checker.watch(adapter.target)
    tool_threads = _set_up(adapter)
    checker.watch(adapter.target)
    tools = {
        name: checker.watch_tool(tool, outcomes.raised) for name, tool in adapter.tools.items()
    }
    waves = [
        [_attempt(step, examples, outcomes) for step in part]
        for wave in _waves(each, threads)
        for part in _without_serial_pairs(wave, tools)
    ]
    Placement(tools, threads, waves, tool_threads).run()
    tool_threads.end_loop()
    adapter.close(tool_threads.run_hook)


def _run_in_turn(
    adapter: LoadedAdapter,
    examples: Mapping[str, list[Any]],
    each: Round,
    threads: int,
    outcomes: Outcomes,
) -> None:
    """The same calls, on as many threads, but only one at a time; and nobody watches."""
    tool_threads = _set_up(adapter)
    waves = [
        [_attempt(step, examples, outcomes)] for wave in _waves(each, threads) for step in wave
    ]
    outcomes.comparable &= Placement(adapter.tools, threads, waves, tool_threads).run()
    tool_threads.end_loop()
    adapter.close(tool_threads.run_hook)


def _set_up(adapter: LoadedAdapter) -> ToolThreads:
    """Set the adapter up, as a process that serves it does. Returns what its threads will need."""
    tool_threads = ToolThreads(contextvars.copy_context())
    adapter.setup(tool_threads.run_hook)
    tool_threads.begin_calls(adapter)
    return tool_threads


def _waves(each: Round, threads: int) -> Iterator[list[Step]]:
    """The calls of a round that belong together: one for each thread, which begin at other steps."""
    steps, count = each
    for index in range(count):
        yield [steps[(first + index) % len(steps)] for first in range(threads)]


def _without_serial_pairs(wave: list[Step], tools: Mapping[str, Tool]) -> Iterator[list[Step]]:
    """The calls of a wave that can run at once: no two of the same serial tool."""
    rest = wave
    while rest:
        now: list[Step] = []
        later: list[Step] = []
        for step in rest:
            again = tools[step[0]].serial and any(step[0] == other for other, _ in now)
            (later if again else now).append(step)
        yield now
        rest = later


def _attempt(step: Step, examples: Mapping[str, list[Any]], outcomes: Outcomes) -> Attempt:
    name, index = step
    example = examples[name][index]
    params = list(example) if isinstance(example, list | tuple) else dict(example)
    return Attempt(name, params, outcomes.peer(step))


def _finding(checker: ThreadSafetyChecker, failure: Failure) -> Finding:
    name = failure.tool
    stack = () if failure.error is None else checker.stack_of(failure.error)
    return Finding(
        OBSERVED,
        name,
        f"raises {failure.text!r}, but only when calls run at the same time",
        "look for what another call may have changed before that line",
        Access(0, 0, "raise", frozenset(), stack or [("", 0, name)], name),
    )

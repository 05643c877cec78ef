"""Which calls a check makes: rounds of calls, waves of calls that begin at once, in which order.

Each tool runs against itself, then all are mixed, because many races need two different tools.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import InvalidParams
from ..tool import Tool
from .example_arguments import guess_arguments
from .outcomes import Step

#: A round shorter than that is not parted.
_LONG = 8

#: What one thread after another begins with, and how many of them each thread makes.
Round: TypeAlias = tuple[Sequence[Step], int]


def examples_of(tool: Tool) -> list[Any]:
    """What a tool is called with: its examples, or what can be guessed; none if nothing can."""
    if tool.examples:
        return list(tool.examples)
    if any(parameter.required for parameter in tool.parameters):
        return list(guess_arguments(tool))
    return [[]]


def fitting_examples(tools: Mapping[str, Tool]) -> tuple[dict[str, list[Any]], list[str]]:
    """The examples of each tool that it can be called with, and what is wrong with the others."""
    found: dict[str, list[Any]] = {}
    misfits = []
    for name, tool in tools.items():
        found[name] = []
        for example in examples_of(tool):
            by_position = isinstance(example, list | tuple)
            try:
                tool.bind(list(example) if by_position else dict(example))
            except InvalidParams as error:
                misfits.append(f"an example does not fit: {error}")
            else:
                found[name].append(example)
    return found, misfits


def rounds_of(examples: Mapping[str, list[Any]], threads: int, calls: int) -> list[Round]:
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


def waves_of(each: Round, threads: int) -> Iterator[list[Step]]:
    """The calls of a round that belong together: one for each thread, which begin at other steps."""
    steps, count = each
    for index in range(count):
        yield [steps[(first + index) % len(steps)] for first in range(threads)]


def within_limits(wave: list[Step], tools: Mapping[str, Tool]) -> Iterator[list[Step]]:
    """The calls of a wave that can run at once: no more of one tool than it allows."""
    rest = wave
    while rest:
        now: list[Step] = []
        later: list[Step] = []
        for step in rest:
            limit = tools[step[0]].max_concurrency or len(rest)
            again = sum(step[0] == other for other, _ in now) >= limit
            (later if again else now).append(step)
        yield now
        rest = later


def in_turn(each: Round, threads: int, chance: random.Random | None) -> list[Step]:
    """The calls of a round in an order in which they could be made one after another.

    Args:
        chance: what the order is drawn from; None: as they are listed.
    """
    waves = list(waves_of(each, threads))
    if chance is None:
        return [step for wave in waves for step in wave]
    if chance.random() < 0.25:
        steps = [step for wave in waves for step in wave]
        chance.shuffle(steps)
        return steps
    for wave in waves:
        chance.shuffle(wave)
    return [step for wave in waves for step in wave]

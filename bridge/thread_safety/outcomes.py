"""What calls returned and raised, to be compared with what the same calls do one after another."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, TypeAlias

from ..calls import CallView, Peer, Sink
from ..errors import CallError, shorten

#: The name of a tool, and the index of one of its examples.
Step: TypeAlias = tuple[str, int]

#: What says no on purpose, or has been reported.
_NO_FINDING = ("builtins.TimeoutError", "bridge.thread_safety.checker.ThreadSafetyError")


class Failure:
    """What calls of a tool raised: in words, and the exception, if it is known."""

    def __init__(self, tool: str, text: str, error: BaseException | None) -> None:
        self.tool = tool
        self.text = text
        self.error = error


class Outcomes:
    """What calls returned and raised, by tool and example. Any thread may add to it."""

    def __init__(self) -> None:
        #: Whether the calls were made as intended.
        self.comparable = True
        self._results: dict[Step, list[Any]] = {}
        #: By tool and qualified type of the exception, what the caller was told.
        self._errors: dict[tuple[str, str], CallError] = {}
        self._raised: dict[tuple[str, str], BaseException] = {}

    def peer(self, step: Step) -> Callable[[Callable[[], None]], Peer]:
        """Makes the peer of one call of a step, which adds its outcome, then says that it is there."""
        return lambda answered: _Collector(self, step, answered)

    def raised(self, tool: str, error: BaseException) -> None:
        """Note an exception that came out of the function of a tool."""
        kind = type(error)
        self._raised.setdefault((tool, f"{kind.__module__}.{kind.__qualname__}"), error)

    def add_result(self, step: Step, result: Any) -> None:
        """A call of a step was answered with a result: of a stream, the list of its items."""
        self._results.setdefault(step, []).append(result)

    def add_error(self, step: Step, error: CallError) -> None:
        """A call of a step was answered with an error."""
        # those that a tool raises on purpose have no type: they are no exceptions of Python
        if error.type is not None:
            self._errors.setdefault((step[0], error.type), error)

    def new_failures(self, others: Outcomes) -> list[Failure]:
        """The errors of types that none of the others is of; but not what says no on purpose."""
        found = []
        for key, error in self._errors.items():
            tool, kind = key
            raised = self._raised.get(key)
            if not others.comparable or key in others._errors or kind in _NO_FINDING:
                continue
            if isinstance(raised, CallError | TimeoutError) or kind.startswith("bridge.errors."):
                continue
            if raised is not None:
                text = traceback.format_exception_only(raised)[-1].strip()
            else:
                text = f"{kind.removeprefix('builtins.')}: {error.message}"
            found.append(Failure(tool, text, raised))
        return found

    def new_results(self, others: Outcomes) -> list[str]:
        """The tools that always returned the same there, and something else here, in words."""
        found = []
        for step, results in self._results.items():
            expected = others._results.get(step, [])
            if (
                not others.comparable
                or len(expected) < 2
                or not all(_same(expected[0], result) for result in expected)
            ):
                continue
            other = [result for result in results if not _same(expected[0], result)]
            if other:
                found.append(
                    f"{step[0]} returned {shorten(expected[0])}, at once also {shorten(other[0])}"
                )
        return list(dict.fromkeys(found))


class _Collector(Peer, Sink):
    """The peer of one call, and where its items go."""

    def __init__(self, outcomes: Outcomes, step: Step, answered: Callable[[], None]) -> None:
        self._outcomes = outcomes
        self._step = step
        self._answered = answered
        self._items: list[Any] | None = None

    def send_result(self, key: int, result: Any) -> None:
        self._outcomes.add_result(self._step, result if self._items is None else self._items)
        self._answered()

    def send_error(self, key: int, error: CallError) -> None:
        self._outcomes.add_error(self._step, error)
        self._answered()

    def open_stream(self, call: CallView) -> Sink:
        self._items = []
        return self

    def wait(self) -> None:
        """It takes everything."""

    def send(self, item: Any) -> None:
        assert self._items is not None
        self._items.append(item)

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        """Nobody sees it."""

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> None:
        """Nobody reads it."""


def _same(left: Any, right: Any) -> bool:
    try:
        return bool(left == right)
    except Exception:  # arrays, and objects of the program
        return True

"""What calls returned and raised, to be compared with what the same calls do one after another."""

from __future__ import annotations

import _thread
import copy
import traceback
from collections.abc import Callable
from typing import Any, TypeAlias

from ..calls import CallView, Peer, Sink
from ..errors import CallError, shorten
from .libraries import module_of_type, qualname_of_type

#: The name of a tool, and the index of one of its examples.
Step: TypeAlias = tuple[str, int]

#: What is copied when it is returned.
_CONTAINERS = (list, dict, set, tuple, bytearray)
#: What says no on purpose, or has been reported.
_NO_FINDING = ("builtins.TimeoutError", "bridge.thread_safety.detector.findings.ThreadSafetyError")


class Failure:
    """What calls of a tool raised: in words, the thread, and the exception, if it is known."""

    def __init__(self, tool: str, text: str, error: BaseException | None, thread: int) -> None:
        self.tool = tool
        self.text = text
        self.error = error
        self.thread = thread


class Difference:
    """What calls of a tool returned at once, and never one after another.

    ``expected``: the program has a branch for what was met only there, as a lock that it does not
    wait for, or something that is lent already.
    """

    def __init__(self, tool: str, text: str, thread: int, expected: bool) -> None:
        self.tool = tool
        self.text = text
        self.thread = thread
        self.expected = expected


class Outcomes:
    """What calls returned and raised, by tool and example. Any thread may add to it.

    Args:
        thread: the number of the calling thread.
        path: the branches that the call on this thread has taken.
    """

    def __init__(
        self,
        thread: Callable[[], int] = lambda: 0,
        path: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        #: Whether the calls were made as intended.
        self.comparable = True
        #: Differences that need not be wrong.
        self.notes: list[Difference] = []
        self._thread = thread
        self._path = path
        self._results: dict[Step, list[tuple[int, Any]]] = {}
        #: Of each call that returned, in the same order.
        self._paths: dict[Step, list[frozenset[str]]] = {}
        #: By tool and qualified type of the exception, what the caller was told, and the thread.
        self._errors: dict[tuple[str, str], tuple[int, CallError]] = {}
        self._raised: dict[tuple[str, str], BaseException] = {}
        self._gave_up: set[str] = set()
        #: The tools of whose calls the branches are known.
        self.followed: set[str] = set()
        self._lock = _thread.allocate_lock()  # one that the checker does not know

    def peer(self, step: Step) -> Callable[[Callable[[], None]], Peer]:
        """Makes the peer of one call of a step, which adds its outcome, then says that it is there."""
        return lambda answered: _Collector(self, step, answered)

    def raised(self, tool: str, error: BaseException) -> None:
        """Note an exception that came out of the function of a tool."""
        kind = type(error)
        self._raised.setdefault((tool, f"{module_of_type(kind)}.{qualname_of_type(kind)}"), error)

    def gave_up(self, tool: str) -> None:
        """A call of a tool did not get what it did not wait for: what it does then is right."""
        self._gave_up.add(tool)

    def add_result(self, step: Step, result: Any) -> None:
        """A call of a step was answered with a result: of a stream, the list of its items."""
        with self._lock:
            self._results.setdefault(step, []).append((self._thread(), _copy(result)))
            self._paths.setdefault(step, []).append(self._path())

    def add_error(self, step: Step, error: CallError) -> None:
        """A call of a step was answered with an error."""
        # those that a tool raises on purpose have no type: they are no exceptions of Python
        if error.type is not None:
            self._errors.setdefault((step[0], error.type), (self._thread(), error))

    def new_failures(self, others: Outcomes) -> list[Failure]:
        """The errors of types that none of the others is of; but not what says no on purpose."""
        found = []
        for key, (thread, error) in self._errors.items():
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
            found.append(Failure(tool, text, raised, thread))
        return found

    def new_results(self, others: Outcomes) -> list[Difference]:
        """The tools that always returned the same there, and something else here; each once."""
        found: dict[str, Difference] = {}
        for step, results in self._results.items():
            expected = [result for _, result in others._results.get(step, [])]
            if (
                not others.comparable
                or len(expected) < 2
                or not all(_same(expected[0], result) for result in expected)
            ):
                continue
            usual = others._paths[step]
            for (thread, result), path in zip(results, self._paths[step], strict=True):
                known = found.get(step[0])
                if _same(expected[0], result) or (known and not known.expected):
                    continue
                text = f"returned {shorten(result)} instead of {shorten(expected[0])}"
                branched = step[0] in self.followed and path not in usual
                branched = branched or step[0] in self._gave_up
                found[step[0]] = Difference(step[0], text, thread, branched)
        return list(found.values())


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


def _copy(result: Any) -> Any:
    """The result as it is now: it may be an object that later calls change."""
    if type(result) not in _CONTAINERS:
        return result
    try:
        return copy.deepcopy(result)
    except Exception:  # then as it is
        return result


def _same(left: Any, right: Any) -> bool:
    try:
        return bool(left == right)
    except Exception:  # arrays, and objects of the program
        return True

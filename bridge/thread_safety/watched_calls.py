"""Functions whose every call counts as a call of its own: for the detector, and counted."""

from __future__ import annotations

import functools
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..signature import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from ..tool import Tool
from .call_counts import CallCounts
from .detector import DOCUMENTED, Access, Finding, Harmless
from .instrument import Probe, place_of
from .libraries import Libraries
from .process_state import FILTERS, FilterUsers, ProcessState
from .schedule import Schedule

_ADVICE = "pass what is needed as an argument, or set it once in setup()"
#: Of filters of warnings that a library replaces for a moment.
_LOST_WARNINGS = "only warnings are at stake, which may be lost, or shown that should not be"
_APART = "python3.14 -X context_aware_warnings=1 keeps the filters of threads apart; elsewhere set those that matter before the calls"


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


class WatchedCalls:
    """Tells of the calls of functions: that they begin, what they return, that they end.

    Args:
        probe: is told of them, and of what they change for the whole process.
        counts: where they are counted.
        filters: who replaces the filters of warnings.
        libraries: what is documented of those that do.
    """

    def __init__(
        self, probe: Probe, counts: CallCounts, filters: FilterUsers, libraries: Libraries
    ) -> None:
        self._filters = filters
        self._libraries = libraries
        self._probe = probe
        self._counts = counts
        #: Where calls pause; None: nowhere.
        self.schedule: Schedule | None = None

    def wrap(
        self,
        function: Callable[..., Any],
        name: str,
        serial: bool = False,
        raised: Callable[[str, BaseException], object] = _nothing,
        gave_up: Callable[[str], object] = _nothing,
    ) -> Callable[..., Any]:
        """A function that does what ``function`` does, of whatever kind that is.

        Args:
            name: what people know it as.
            serial: it is never called twice at once, however many threads want to.
            raised: called with the name and each exception that comes out of it, on its thread.
            gave_up: called with the name after each call that did not get a lock that it did not
                wait for.
        """
        inner = getattr(function, "__func__", function)
        flags = getattr(getattr(inner, "__code__", None), "co_flags", 0)
        if flags & CO_ASYNC_GENERATOR:
            return function
        part = functools.partial(self._part, function, name, serial, raised, gave_up)
        if flags & CO_COROUTINE:
            # tasks take turns where they await, in the middle of a serial call as well
            step = functools.partial(self._part, function, name, False, raised, gave_up)

            @functools.wraps(function)
            async def task(*args: Any, **kwargs: Any) -> Any:
                return await _steps(step, function(*args, **kwargs))

            return task
        if flags & CO_GENERATOR:

            @functools.wraps(function)
            def stream(*args: Any, **kwargs: Any) -> Any:
                items, call = function(*args, **kwargs), object()
                try:
                    while True:
                        with part(call, last=False):
                            try:
                                item = next(items)
                            except StopIteration as stop:
                                return stop.value
                        yield item
                finally:
                    with part(call, last=True):
                        items.close()

            return stream

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with part(object(), last=True) as returned:
                result = function(*args, **kwargs)
                returned(result)
            return result

        return wrapped

    @contextmanager
    def _part(
        self,
        function: Callable[..., Any],
        name: str,
        serial: bool,
        raised: Callable[[str, BaseException], object],
        gave_up: Callable[[str], object],
        call: object,
        *,
        last: bool,
    ) -> Iterator[Callable[[Any], None]]:
        """A call runs on this thread.

        ``last``: to its end, not only until it goes on elsewhere. Gives a function that is to be
        told of its result.
        """
        results: list[Any] = [None]
        turn = f"the turn of {name}"
        recorder = self._probe.recorder
        thread, schedule = recorder.thread, self.schedule
        before = ProcessState(self._filters) if self._counts.begin(name, thread) else None
        began = time.monotonic()
        recorder.begin(call, () if schedule is None else schedule.draw(name))
        if serial:
            recorder.acquire(turn)
        try:
            yield results.append
        except BaseException as error:
            raised(name, error)
            raise
        finally:
            if serial:
                recorder.release(turn, recorder.thread)
            if last:
                self._probe.returned(results[-1], function, name)
                points, alone = recorder.end()
                if schedule is not None:
                    schedule.ended(name, points)
                if alone:
                    gave_up(name)
            else:
                recorder.leave()
            self._counts.end(name, thread, time.monotonic() - began)
            # None: it could have been another call that ran
            for what in () if before is None else before.changed():
                packages = before.packages() if before and what == FILTERS else []
                access = _access_of(function, name, thread)
                recorder.report(self._change_of(what, packages, name, access))

    def _change_of(self, what: str, packages: list[str], name: str, access: Access) -> Finding:
        """What is reported of a change by a call; ``packages``: it is theirs, not the program's."""
        if not packages:
            return _change(what, name, access)
        rows = [self._libraries.for_module(package) for package in packages]
        names = [row.name if row else package for row, package in zip(rows, packages, strict=True)]
        advice = " ".join([f"{_APART}.", *(row.advice() for row in rows if row)])
        problem = f"{' and '.join(names)} replaced them for a moment in {name}, for every thread"
        return Finding(DOCUMENTED, what, problem, advice, access, doubt=Harmless(_LOST_WARNINGS))


@types.coroutine
def _steps(part: Callable[..., Any], coroutine: Any) -> Any:
    """Run a coroutine; between two awaits it is a call on the thread of its event loop."""
    call = object()
    step, value = coroutine.send, None
    try:
        while True:
            with part(call, last=False):
                try:
                    awaited = step(value)
                except StopIteration as stop:
                    return stop.value
            try:
                step, value = coroutine.send, (yield awaited)
            except BaseException as error:
                step, value = coroutine.throw, error
    finally:
        with part(call, last=True):
            coroutine.close()


def change_of(what: str, tool: Tool, thread: int) -> Finding:
    """What is reported of a change of the process that calls of a tool have left behind."""
    return _change(what, tool.name, _access_of(tool.function, tool.name, thread))


def _change(what: str, name: str, access: Access) -> Finding:
    problem = f"{name} changed it, for every thread of the process"
    return Finding(DOCUMENTED, what, problem, _ADVICE, access)


def _access_of(function: Any, name: str, thread: int) -> Access:
    place = place_of(function, name)
    return Access(thread, 0, "change", frozenset(), (place,), name)

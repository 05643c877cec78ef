"""``ThreadSafetyChecker``: the race detector for one program, and its findings.

    with ThreadSafetyChecker(enabled=True) as checker:
        adapter = checker.watch(MyAdapter())
        ... call it from several threads ...
    print(checker.report().text)

Not enabled, it does nothing, and costs nothing. There is no checker for the whole process: who
wants one makes it and passes it on.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import types
import warnings
from contextlib import contextmanager

from .call_counts import Monitors
from .detector.detector import Detector
from .instrument.import_hook import OwnModules, is_bridge
from .instrument.probe import Probe
from .instrument.sync import Tracing
from .libraries.rules import Rules
from .pitfalls import check_common_pitfalls, validate_adapter_thread_safety
from .report import Report, describe_finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, TypeVar

    from ..loading import LoadedAdapter
    from ..tool import Tool
    from .detector.findings import Finding, Frame

    Function = TypeVar("Function", bound=Callable[..., Any])

_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200


class ThreadSafetyWarning(RuntimeWarning):
    """A race was found. Made once for each."""


class ThreadSafetyError(RuntimeError):
    """A race was found, in strict mode: raised where the second access was about to happen."""


def warn(finding: Finding) -> None:
    """The default for ``ThreadSafetyChecker(note=)``: a ``ThreadSafetyWarning``."""
    warnings.warn(describe_finding(finding), ThreadSafetyWarning, stacklevel=2)


def log(finding: Finding) -> None:
    """For ``ThreadSafetyChecker(note=)``: a line in the log."""
    logging.getLogger("bridge.thread_safety").warning("%s", describe_finding(finding))


class ThreadSafetyChecker:
    """Finds races between threads in an adapter and the modules of its program.

    ``enabled``: False makes it do nothing. ``strict``: the access that completes a race raises
    ``ThreadSafetyError``. ``packages``, ``directory``: what else belongs to the program, see
    ``OwnModules``. ``note``: called with each finding, once, on the thread that found it.

    Entered and left on one thread. What is imported while it is entered is checked from its first
    line on; of what was imported before, the modules of watched adapters are.
    """

    def __init__(
        self,
        enabled: bool = True,
        strict: bool = False,
        *,
        packages: tuple[str, ...] = (),
        directory: str | None = None,
        note: Callable[[Finding], object] = warn,
    ) -> None:
        self.enabled = enabled
        self.strict = strict
        self._note = note
        self._findings: list[Finding] = []
        self._telling = threading.local()
        self.monitors = Monitors()
        detector = Detector(self._found)
        self._own = OwnModules(packages, directory, self._module_loaded)
        is_own = self._own.rewritten.__contains__
        self._rules = Rules(detector, is_own)
        self._probe = self._own.probe = Probe(detector, is_own, self._rules)
        self._tracing = Tracing(self._probe, _is_traced)
        self._entered = False
        self._recursion_limit = 0

    @classmethod
    def for_adapter(
        cls,
        name: str,
        app_dir: str | None,
        *,
        strict: bool = False,
        note: Callable[[Finding], object] = warn,
    ) -> ThreadSafetyChecker:
        """A checker for the program of an adapter, named as for ``bridge --adapter``."""
        package = name.replace(":", ".").partition(".")[0]
        return cls(strict=strict, packages=(package,), directory=app_dir or ".", note=note)

    def __enter__(self) -> ThreadSafetyChecker:
        if self.enabled:
            self._tracing.__enter__()
            self._own.install()
            self._rules.__enter__()
            # a call by way of the probe takes two frames
            self._recursion_limit = sys.getrecursionlimit()
            sys.setrecursionlimit(self._recursion_limit * 3)
            self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._entered:
            self._entered = False
            sys.setrecursionlimit(self._recursion_limit)
            self._rules.__exit__(kind, error, trace)
            self._own.remove()
            self._tracing.__exit__(kind, error, trace)

    # -- what is checked --------------------------------------------------------------------

    def watch(self, adapter: Any) -> Any:
        """Watch an adapter, or any object that threads share, and the module of its class."""
        if not self.enabled:
            return adapter
        for kind in (adapter,) if isinstance(adapter, types.ModuleType) else type(adapter).__mro__:
            module = (
                kind if isinstance(kind, types.ModuleType) else sys.modules.get(kind.__module__)
            )
            if module is not None and not _is_foreign(module.__name__):
                self._own.rewrite_loaded(module)
        if not isinstance(adapter, types.ModuleType):
            self._probe.watch(adapter, type(adapter).__name__)
        return adapter

    def watch_adapter(self, adapter: LoadedAdapter) -> dict[str, Tool]:
        """Watch an adapter that is about to be served. Returns its tools, as calls of their own."""
        self.watch(adapter.target)
        return {
            name: tool.calling(self.wrap(tool.function, tool.name, tool.serial))
            for name, tool in adapter.tools.items()
        }

    def check_thread_safe(self, function: Function) -> Function:
        """Decorator: every call of ``function`` counts as a call of its own.

        What a call looks at and then changes must be under one lock; its result is read after
        all its locks are free; two calls at once are counted as an overlap.
        """
        if not self.enabled:
            return function
        name = getattr(function, "__qualname__", repr(function))
        return self.wrap(function, name)  # type: ignore[return-value]

    def wrap(
        self, function: Callable[..., Any], name: str, serial: bool = False
    ) -> Callable[..., Any]:
        """``function``, called ``name``, as calls of their own; ``serial``: never two at once."""
        inner = getattr(function, "__func__", function)
        flags = getattr(getattr(inner, "__code__", None), "co_flags", 0)
        if flags & _CO_ASYNC_GENERATOR:
            return function
        if flags & _CO_COROUTINE:

            @functools.wraps(function)
            async def task(*args: Any, **kwargs: Any) -> Any:
                return await self._steps(function, name, function(*args, **kwargs))

            return task
        if flags & _CO_GENERATOR:

            @functools.wraps(function)
            def stream(*args: Any, **kwargs: Any) -> Any:
                items, call = function(*args, **kwargs), object()
                try:
                    while True:
                        with self.call(function, name, call, serial, last=False):
                            try:
                                item = next(items)
                            except StopIteration as stop:
                                return stop.value
                        yield item
                finally:
                    with self.call(function, name, call, serial):
                        items.close()

            return stream

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.call(function, name, object(), serial) as returned:
                result = function(*args, **kwargs)
                returned(result)
            return result

        return wrapped

    @types.coroutine
    def _steps(self, function: Callable[..., Any], name: str, coroutine: Any) -> Any:
        """Run a coroutine; between two awaits it is a call on the thread of its event loop."""
        call = object()
        step, value = coroutine.send, None
        try:
            while True:
                with self.call(function, name, call, last=False):
                    try:
                        awaited = step(value)
                    except StopIteration as stop:
                        return stop.value
                try:
                    step, value = coroutine.send, (yield awaited)
                except BaseException as error:
                    step, value = coroutine.throw, error
        finally:
            with self.call(function, name, call):
                coroutine.close()

    @contextmanager
    def call(
        self,
        function: Callable[..., Any],
        name: str,
        call: object,
        serial: bool = False,
        *,
        last: bool = True,
    ) -> Iterator[Callable[[Any], None]]:
        """A call of ``function`` runs on this thread.

        ``last``: to its end, not only until it goes on elsewhere. Gives a function that is to be
        told of its result.
        """
        results: list[Any] = [None]
        turn = f"the turn of {name}"
        self.monitors.begin(name)
        self._probe.begin(call)
        if serial:
            self._probe.acquire(turn)
        try:
            yield results.append
        finally:
            if serial:
                self._probe.release(turn, self._probe.thread)
            if last:
                self._probe.end(function, name, results[-1])
            else:
                self._probe.pause()
            for finding in self.monitors.end(name, function):
                self._rules.rule(finding)

    # -- what was found ---------------------------------------------------------------------

    @property
    def findings(self) -> list[Finding]:
        """What was found so far; each once."""
        return list(self._findings)

    def stack_of(self, error: BaseException) -> Sequence[Frame]:
        """Where in the program an exception was raised, innermost first."""
        return self._probe.stack_of(error)

    def add(self, finding: Finding) -> None:
        """Report what was found in another way."""
        self._rules.rule(finding)

    def report(self) -> Report:
        """The findings with what was counted."""
        libraries = list(self._rules.libraries.values())
        return Report(self._findings, self.monitors.describe(), libraries)

    def get_report(self) -> dict[str, Any]:
        """The report as a map, ready for JSON."""
        return self.report().describe()

    def print_thread_safety_report(self) -> None:
        """Print the report for people."""
        print(self.report().text)

    def _found(self, finding: Finding) -> None:
        if getattr(self._telling, "busy", False):
            return
        self._findings.append(finding)
        self._telling.busy = True  # telling may run code that is watched itself
        try:
            self._note(finding)
        finally:
            self._telling.busy = False
        if self.strict:
            raise ThreadSafetyError(describe_finding(finding))

    def _module_loaded(self, module: types.ModuleType) -> None:
        self._probe.watch_module(module)


def require_thread_safe_adapter(function: Function) -> Function:
    """Decorator: the first argument must be an adapter that declares itself thread-safe.

    Raises ``TypeError`` in the call otherwise.
    """

    @functools.wraps(function)
    def checked(adapter: Any, *args: Any, **kwargs: Any) -> Any:
        if not validate_adapter_thread_safety(type(adapter)):
            raise TypeError(
                f"{type(adapter).__name__} does not declare itself thread-safe: derive it from "
                "ThreadSafeAdapter, or set __thread_safe__ = True"
            )
        return function(adapter, *args, **kwargs)

    return checked  # type: ignore[return-value]


def _is_traced(module: str) -> bool:
    """Locks of the bridge itself say nothing about the program, those of its adapters do."""
    # rewritten code makes its locks through the probe
    return not module.startswith("bridge.") or module.startswith(
        ("bridge.adapter", Probe.__module__)
    )


def _is_foreign(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names or is_bridge(module)


__all__ = [
    "ThreadSafetyChecker",
    "ThreadSafetyError",
    "ThreadSafetyWarning",
    "check_common_pitfalls",
    "log",
    "require_thread_safe_adapter",
    "validate_adapter_thread_safety",
    "warn",
]

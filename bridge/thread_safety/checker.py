"""``ThreadSafetyChecker``: the race detector for one program, and its findings.

    with ThreadSafetyChecker(enabled=True) as checker:
        adapter = checker.watch(MyAdapter())
        ... call it from several threads ...
    print(checker.report().text)

Not enabled, it does nothing, and costs nothing. There is no checker for the whole process:
whoever wants one makes it and passes it on.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Self, TypeVar

from ..loading import LoadedAdapter
from ..tool import Tool
from .call_counts import CallCounts
from .detector import DOCUMENTED, Access, Detector, Finding, Frame
from .instrument import ImportHook, Probe, ProgramModules, SyncTracing, is_bridge, is_traced
from .libraries import ImportWatch, Libraries, Library, Rules
from .pitfalls import check_common_pitfalls, validate_adapter_thread_safety
from .report import Report, describe_finding
from .watched_calls import WatchedCalls

Function = TypeVar("Function", bound=Callable[..., Any])
Shared = TypeVar("Shared")


class ThreadSafetyWarning(RuntimeWarning):
    """A race was found. Made once for each."""


class ThreadSafetyError(RuntimeError):
    """A race was found, in strict mode: raised where the second access was about to happen."""


def warn(finding: Finding) -> None:
    """Warn of a finding, with a ``ThreadSafetyWarning``: what a checker does by default."""
    warnings.warn(describe_finding(finding), ThreadSafetyWarning, stacklevel=2)


def log(finding: Finding) -> None:
    """Write a finding to the log ``bridge.thread_safety``: for ``ThreadSafetyChecker(note=log)``."""
    logging.getLogger("bridge.thread_safety").warning("%s", describe_finding(finding))


class ThreadSafetyChecker:
    """Finds races between threads in an adapter and the modules of its program.

    Entered and left on one thread. What is imported while it is entered is checked from its first
    line on; of what was imported before, the modules of watched adapters are.

    Args:
        enabled: False makes it do nothing.
        strict: the access that completes a race raises ``ThreadSafetyError``.
        packages: names of top-level packages or modules that belong to the program.
        directory: whatever is below it belongs to the program, too.
        note: called with each finding, once, on the thread that found it.
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
        self._counts = CallCounts()
        #: What was imported that promises less than to be shared, by name.
        self._libraries: dict[str, Library] = {}
        table = Libraries()
        modules = ProgramModules(packages, directory)
        is_own = modules.rewritten.__contains__
        self._probe = Probe(Detector(self._found), is_own, Rules(table))
        self._calls = WatchedCalls(self._probe, self._counts)
        self._hook = ImportHook(modules, self._probe)
        self._imports = ImportWatch(table, self._library_imported, is_own)
        self._tracing = SyncTracing(self._probe.recorder, self._probe.decisions, is_traced)
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
        """A checker for the program of an adapter.

        Args:
            name: the adapter, as for ``bridge --adapter``; its top-level package is the program's.
            app_dir: what is below it is the program's, too; default: the working directory.
            strict: as for every checker.
            note: as for every checker.
        """
        package = name.replace(":", ".").partition(".")[0]
        return cls(strict=strict, packages=(package,), directory=app_dir or ".", note=note)

    def __enter__(self) -> Self:
        if self.enabled:
            self._tracing.__enter__()
            self._hook.install()
            self._imports.__enter__()
            # a call by way of the probe takes two frames
            self._recursion_limit = sys.getrecursionlimit()
            sys.setrecursionlimit(self._recursion_limit * 3)
            self._entered = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._entered:
            self._entered = False
            sys.setrecursionlimit(self._recursion_limit)
            self._imports.__exit__(*exception)
            self._hook.remove()
            self._tracing.__exit__(*exception)

    # -- what is checked --------------------------------------------------------------------

    def watch(self, adapter: Shared) -> Shared:
        """Watch an object that threads share, and the modules of its classes.

        Args:
            adapter: an adapter, or any other object, or a module.

        Returns:
            The same object.
        """
        if not self.enabled:
            return adapter
        for kind in (adapter,) if isinstance(adapter, ModuleType) else type(adapter).__mro__:
            module = kind if isinstance(kind, ModuleType) else sys.modules.get(kind.__module__)
            if module is not None and not _is_foreign(module.__name__):
                self._hook.rewrite_loaded(module)
        if not isinstance(adapter, ModuleType):
            self._probe.watch(adapter, type(adapter).__name__)
        return adapter

    def watch_adapter(self, adapter: LoadedAdapter) -> dict[str, Tool]:
        """Watch an adapter that is about to be served.

        Returns:
            Its tools by name, with functions of which every call is one of its own.
        """
        self.watch(adapter.target)
        return {name: self.watch_tool(tool) for name, tool in adapter.tools.items()}

    def watch_tool(
        self, tool: Tool, raised: Callable[[str, BaseException], object] | None = None
    ) -> Tool:
        """The same tool, with a function of which every call is one of its own.

        Args:
            raised: called with the name of the tool and each exception that comes out of its
                function, on its thread; default: nobody is told.
        """
        more = {} if raised is None else {"raised": raised}
        return tool.calling(self._calls.wrap(tool.function, tool.name, tool.serial, **more))

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
        """A function that does what ``function`` does, and each call of which is one of its own.

        Args:
            name: what people know it as.
            serial: it is never called twice at once, however many threads want to.
        """
        return self._calls.wrap(function, name, serial)

    # -- what was found ---------------------------------------------------------------------

    @property
    def findings(self) -> list[Finding]:
        """What was found so far, each once, in order. Any thread may ask."""
        return list(self._findings)

    def stack_of(self, error: BaseException) -> Sequence[Frame]:
        """Where in the program an exception was raised, innermost first."""
        return self._probe.recorder.stack_of(error)

    def add(self, finding: Finding) -> None:
        """Report what was found in another way."""
        self._probe.recorder.report(finding)

    def report(self, not_run: Sequence[str] = (), differences: Sequence[str] = ()) -> Report:
        """The findings with what was counted; for the arguments see ``Report``."""
        return Report(
            self._findings,
            self._counts.describe(),
            list(self._libraries.values()),
            not_run=not_run,
            differences=differences,
        )

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

    def _library_imported(self, library: Library, module: str, thread: int) -> None:
        self._libraries[library.name] = library
        if library.level != "incompatible" or library.standard:
            return
        access = Access(thread, 0, "import", frozenset(), self._probe.recorder.stack(), None)
        self.add(
            Finding(DOCUMENTED, library.name, f"{module} imports it", library.advice(), access)
        )


def require_thread_safe_adapter(function: Function) -> Function:
    """Decorator: the first argument must be an adapter that declares itself thread-safe.

    Raises:
        TypeError: in the call, if it does not.
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

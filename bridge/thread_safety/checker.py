"""``ThreadSafetyChecker``: the race detector for one program, and its findings.

    with ThreadSafetyChecker() as checker:
        adapter = checker.watch(MyAdapter())
        ... call it from several threads ...
    print(checker.report().text)

There is none for the whole process: whoever wants one makes it and passes it on.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Self, TypeVar

from ..loading import LoadedAdapter
from ..tool import Tool
from .call_counts import CallCounts
from .detector import (
    DOCUMENTED,
    LEAK,
    NOTED,
    ORDER,
    RACE,
    Access,
    Detector,
    Finding,
    Frame,
    ThreadSafetyError,
)
from .found import FoundSoFar
from .instrument import (
    Faults,
    ImportHook,
    Losses,
    Probe,
    ProgramModules,
    RecursionRoom,
    SyncTracing,
    is_bridge,
    is_traced,
    place_of,
)
from .libraries import ImportWatch, Libraries, Library, Rules, module_of_type, mro_of_type
from .notes import ThreadSafetyWarning, log, log_fault, log_loss, warn
from .pitfalls import (
    check_common_pitfalls,
    require_thread_safe_adapter,
    validate_adapter_thread_safety,
)
from .process_state import FilterUsers
from .reports import Report
from .schedule import Schedule
from .silences import CheckSettings, Scope, Silences, find_settings
from .watched_calls import WatchedCalls

Function = TypeVar("Function", bound=Callable[..., Any])
Shared = TypeVar("Shared")


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
        settings: what its project says of checks; default: nothing.
    """

    def __init__(
        self,
        enabled: bool = True,
        strict: bool = False,
        *,
        packages: tuple[str, ...] = (),
        directory: str | None = None,
        note: Callable[[Finding], object] = warn,
        settings: CheckSettings | None = None,
    ) -> None:
        self.enabled = enabled
        self.strict = strict
        self._silences = Silences(settings or CheckSettings())
        self._kept = FoundSoFar(strict, note, self._silences)
        self._counts, table = CallCounts(), Libraries()
        #: What was imported that promises less than to be shared, by name.
        self._libraries: dict[str, Library] = {}
        modules = ProgramModules(packages, directory)
        is_own = modules.rewritten.__contains__
        self._faults = Faults(log_fault)
        self._losses = Losses(log_loss)
        detector, rules = Detector(self._kept.add), Rules(table)
        self._probe = Probe(detector, is_own, rules, self._faults, self._losses)
        self._filters = FilterUsers(is_own)
        self._calls = WatchedCalls(self._probe, self._counts, self._filters, table)
        self._hook = ImportHook(modules, self._probe)
        self._imports = ImportWatch(table, self._library_imported, is_own)
        self._probe.tell_imports(self._imports.imported)
        self._tracing = SyncTracing(self._probe.recorder, self._probe.decisions, is_traced)
        self._entered = False
        self._room = RecursionRoom()

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
        directory = app_dir or "."
        settings = find_settings(directory)
        return cls(
            strict=strict, packages=(package,), directory=directory, note=note, settings=settings
        )

    def __enter__(self) -> Self:
        if self.enabled:
            self._tracing.__enter__()
            self._hook.install()
            self._imports.__enter__()
            self._filters.__enter__()
            self._room.__enter__()
            self._entered = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._entered:
            self._entered = False
            self._room.__exit__(*exception)
            self._filters.__exit__(*exception)
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
        for kind in (adapter,) if isinstance(adapter, ModuleType) else mro_of_type(type(adapter)):
            module = kind if isinstance(kind, ModuleType) else sys.modules.get(module_of_type(kind))
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
        self,
        tool: Tool,
        raised: Callable[[str, BaseException], object] | None = None,
        gave_up: Callable[[str], object] | None = None,
    ) -> Tool:
        """The same tool, with a function of which every call is one of its own.

        Args:
            raised: called with the name of the tool and each exception that comes out of its
                function, on its thread; default: nobody is told.
            gave_up: called with the name after each call that did not get a lock that it did not
                wait for; default: nobody is told.
        """
        more: dict[str, Any] = {"raised": raised, "gave_up": gave_up}
        more = {key: told for key, told in more.items() if told is not None}
        return tool.calling(self._calls.wrap(tool.function, tool.name, tool.serial, **more))

    def check_thread_safe(self, function: Function) -> Function:
        """Decorator: every call of ``function`` counts as a call of its own.

        What a call looks at and then changes must be under one lock; its result is read after
        all its locks are free; two calls at once are counted as an overlap.
        """
        if not self.enabled:
            return function
        return self.wrap(function, getattr(function, "__qualname__", repr(function)))  # type: ignore[return-value]

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
        """What was found so far, each once, in order; without notes and what is silenced."""
        return self._kept.of(RACE, ORDER, LEAK)

    @property
    def notes(self) -> list[Finding]:
        """What is safe in CPython, though nothing keeps the threads apart. Any thread may ask."""
        return self._kept.of(NOTED)

    @property
    def ends_deadlocks(self) -> bool:
        """Whether of calls that wait for each other for ever one is ended by an exception."""
        return self._probe.recorder.waiting.ends_deadlocks

    @ends_deadlocks.setter
    def ends_deadlocks(self, wanted: bool) -> None:
        self._probe.recorder.waiting.ends_deadlocks = wanted

    @contextmanager
    def stirred_by(self, schedule: Schedule) -> Iterator[None]:
        """In the block, calls pause where the schedule says."""
        self._calls.schedule, self._probe.recorder.pause = schedule, schedule.pause
        try:
            yield
        finally:
            self._calls.schedule = self._probe.recorder.pause = None

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """In the block, nothing that is done counts: calls are made one after another."""
        self._probe.look(False)
        try:
            yield
        finally:
            self._probe.look(True)

    def follow_tool(self, tool: Tool) -> Tool:
        """The same tool; of its calls only the branches are noted that they take."""
        function, follow = tool.function, self._probe.recorder.follow

        @functools.wraps(function)
        def followed(*args: Any, **kwargs: Any) -> Any:
            follow()
            return function(*args, **kwargs)

        return tool.calling(followed)

    def path(self) -> frozenset[str]:
        """The branches that the call on this thread has taken."""
        return self._probe.recorder.path()

    def thread_number(self) -> int:
        """What findings know the calling thread as."""
        return self._probe.recorder.thread

    def place_of(self, tool: Tool) -> Frame:
        """Where the function of a tool is defined."""
        return place_of(tool.function, tool.name)

    def stacks_of_threads(self) -> dict[str, Sequence[Frame]]:
        """Where each thread stands in the program, innermost first; those that are in it."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        stacks = self._probe.recorder.stacks_of_frames(sys._current_frames())
        return {names.get(ident, str(ident)): stack for ident, stack in stacks.items() if stack}

    def stack_of(self, error: BaseException) -> Sequence[Frame]:
        """Where in the program an exception was raised, innermost first."""
        return self._probe.recorder.stack_of(error)

    def add(self, finding: Finding) -> None:
        """Report what was found in another way."""
        self._probe.recorder.report(finding)

    def report(self, *, scope: Scope | None = None, strict: bool = False, **more: Any) -> Report:
        """The findings with what was counted.

        Args:
            scope: what was called, to its end: silences there that silence nothing are findings.
            strict: notes are findings, too.
            more: for the arguments see ``Report``.
        """
        self._kept.tell()
        findings, silenced = self._kept.parted()
        if scope is not None:
            findings += self._silences.unused(self._hook.files(), scope)
        return Report(
            findings,
            self._counts.describe(),
            list(self._libraries.values()),
            threads=self._probe.thread_names(),
            silenced=silenced,
            strict=strict or self._silences.settings.strict,
            faults=list(self._faults.texts.values()),
            forgotten=self._losses.describe(),
            **more,
        )

    def get_report(self) -> dict[str, Any]:
        """The report as a map, ready for JSON."""
        return self.report().describe()

    def print_thread_safety_report(self) -> None:
        """Print the report for people."""
        print(self.report().text)

    def _library_imported(self, library: Library, module: str, thread: int) -> None:
        self._libraries[library.name], recorder = library, self._probe.recorder
        if library.level != "incompatible" or library.standard:
            return
        access = Access(recorder.thread, 0, "import", frozenset(), recorder.stack(), None)
        self.add(
            Finding(DOCUMENTED, library.name, f"{module} imports it", library.advice(), access)
        )


def _is_foreign(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names or is_bridge(module)


__all__ = [
    "ThreadSafetyChecker", "ThreadSafetyError", "ThreadSafetyWarning", "log", "warn",
    "check_common_pitfalls", "require_thread_safe_adapter", "validate_adapter_thread_safety",
]  # fmt: skip

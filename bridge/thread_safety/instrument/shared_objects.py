"""Which objects several threads may know.

Shared are the adapter, what its attributes and the globals of its modules lead to, default
arguments, and the variables of closures. An object becomes known when it is read from one that is
known, or stored in one; what a call makes for itself never does.

An object that was made during the run belongs to the thread that used it first, until another one
does: what came before is then forgotten, because the way on which it was passed on is itself a
variable that is watched. (Eraser calls that state "exclusive".)
"""

from __future__ import annotations

import _thread
import collections
import functools
import threading
import types
from collections.abc import Callable, Hashable
from typing import Any

from ...errors import shorten
from ..libraries import Rules, module_of_type, mro_of_type, qualname_of_type, vars_of_type
from .builtins import CONTAINERS, MAPPINGS, base, is_a, namespace, shows_memory, stateful
from .faults import Faults, guarded
from .known_objects import KnownObjects, Shared
from .threads import ThreadStates

#: Watched, if at all, when their module is, or as a part of what they are bound to.
_NEVER_WATCHED = (type, types.FunctionType, types.ModuleType)
#: Of how many types it is remembered whether their objects are watched.
_MAX_TYPES = 10_000


class SharedObjects:
    """The objects that are shared, by identity. Any thread may call.

    Args:
        is_own: says of a module, by its name, whether it belongs to the program.
        rules: what is documented about the objects of libraries.
        threads: what is known of the calling thread.
        lock: held while objects are added; the recorder's, as either may come to rewritten code
            that needs the other.
        gone: called with the key of each object that is no more, under the lock.
        lost: called, with what it is, for each object that finds no place.
        faults: is told what goes wrong here, which is nothing to the program.
    """

    def __init__(
        self,
        is_own: Callable[[str], bool],
        rules: Rules,
        threads: ThreadStates,
        lock: _thread.RLock,
        gone: Callable[[Hashable], object],
        lost: Callable[[str], object],
        faults: Faults,
    ) -> None:
        self.faults = faults
        self._is_own = is_own
        self._rules = rules
        self._threads = threads
        self._lock = lock
        self.known_objects = KnownObjects(lock, gone, lost)
        self._objects = self.known_objects.table
        #: ``can_change``, by type.
        self._can_change: dict[type, bool] = {}

    def get(self, value: Any) -> Shared | None:
        """What is known of exactly this object."""
        return self._objects.get(id(value))

    def all(self) -> list[tuple[Shared, Any]]:
        """All that is known, each with its object."""
        found = [(shared, shared.object) for shared in list(self._objects.values())]
        return [(shared, value) for shared, value in found if value is not None]

    def add(self, value: Any, shared: Shared) -> None:
        """Watch an object of any kind."""
        self.known_objects.add(value, shared)

    @guarded
    def watch(self, root: Any, name: str, *, for_good: bool = False) -> None:
        """Note an object, and all that it leads to now, as known to every thread."""
        with self._lock:
            seen: set[int] = set()
            pending = [(root, name)]
            while pending:
                value, path = pending.pop()
                value = base(value)  # what an array shows may be known by other views
                if id(value) in seen or not self.can_change(value):
                    continue
                seen.add(id(value))
                if id(value) not in self._objects:
                    self.known_objects.add(
                        value, Shared(value, path, None, True), for_good=for_good
                    )
                pending.extend(parts(value, path))

    @guarded
    def watch_module(self, module: types.ModuleType) -> None:
        """Watch the globals of a module, and the data of its classes."""
        self._can_change.clear()  # it may have become one of the program's own
        names = vars(module)
        known = Shared(names, module.__name__, None, True)
        known.namespace_of = known
        self.known_objects.add(names, known, for_good=True)
        self._objects[id(module)] = known
        for name, value in list(names.items()):
            if is_a(value, type) and module_of_type(value) == module.__name__:
                self._watch_class(value)
            elif is_a(value, types.FunctionType):
                self._watch_function(value)
            elif not is_a(value, types.ModuleType | type) and not name.startswith("__"):
                self.watch(value, f"{module.__name__}.{name}", for_good=True)

    @guarded
    def _watch_class(self, cls: type) -> None:
        if id(cls) in self._objects:
            return
        name = qualname_of_type(cls).rpartition(".")[2]
        self.known_objects.add(cls, Shared(cls, name, None, True), for_good=True)
        for attribute, value in list(vars_of_type(cls).items()):
            if is_a(value, types.FunctionType):
                self._watch_function(value)
            elif not attribute.startswith("__"):
                self.watch(value, f"{name}.{attribute}")

    @guarded
    def _watch_function(self, function: types.FunctionType) -> None:
        """Default arguments are made once, and closures are kept; it may have attributes."""
        self.known_objects.add(
            function, Shared(function, function.__qualname__, None, True), for_good=True
        )
        for index, value in enumerate(function.__defaults__ or ()):
            names = function.__code__.co_varnames
            first = function.__code__.co_argcount - len(function.__defaults__ or ())
            self.watch(value, f"{function.__qualname__}({names[first + index]})")
        for name, value in (function.__kwdefaults__ or {}).items():
            self.watch(value, f"{function.__qualname__}({name})")
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            if is_a(value, types.FunctionType) and self._is_own(value.__module__ or ""):
                if value is not function:
                    self._watch_function(value)
            else:
                self.watch(value, f"{function.__qualname__}.{name}")

    def can_change(self, value: Any) -> bool:
        """Whether it is worth watching: a container, or an object of the program's own."""
        kind = type(value)
        found = self._can_change.get(kind)
        if found is None:
            if len(self._can_change) >= _MAX_TYPES:
                self._can_change.clear()  # or types that are made in calls would live for ever
            found = self._can_change[kind] = self._objects_can_change(kind)
        return found

    def _objects_can_change(self, kind: type) -> bool:
        if issubclass(kind, threading.local):
            return True
        if issubclass(kind, CONTAINERS) or kind is types.GeneratorType:
            return True
        if issubclass(kind, _NEVER_WATCHED):
            return False
        if kind is types.SimpleNamespace or self._is_own(module_of_type(kind)):
            return True
        if stateful(kind) is not None or shows_memory(kind):  # type: ignore[arg-type]
            return True
        return self._rules.for_type(kind) is not None

    def known(self, value: Any) -> Shared | None:
        """What is known of this object, or of the one whose memory it shows."""
        shared = self._objects.get(id(value))
        if shared is None:
            try:
                if shows_memory(type(value)):  # type: ignore[arg-type]
                    return self._objects.get(id(base(value)))
            except BaseException as error:  # of the type of its type
                self.faults.note(error)
        return shared

    @guarded
    def share(self, value: Any, name: str) -> None:
        """``value`` was read from a shared object by this thread."""
        if not self.can_change(value):
            return
        value = base(value)
        if id(value) in self._objects or not self.can_change(value):
            return
        self.known_objects.add(value, Shared(value, name, self._threads.number, False))

    @guarded
    def publish(self, value: Any, name: str, *, deep: bool = False) -> None:
        """``value`` is being stored where other threads find it, by this thread.

        Args:
            deep: it is handed over in a way that makes an order, with all that belongs to it.
        """
        value = base(value)
        if is_a(value, tuple | functools.partial | types.MethodType):
            for part, path in parts(value, name):
                self.publish(part, path, deep=deep)
        if id(value) in self._objects or not self.can_change(value):
            return
        shared = Shared(value, name, None, True)
        if self._threads.call is not None or _thread.get_ident() != _main_thread():
            # what setup() publishes is there before the calls
            shared.publisher = self._threads.task
        self.known_objects.add(value, shared)
        if deep or type(value) in (dict, list, set):
            for part, path in parts(value, name):
                self.publish(part, path, deep=deep)


def _main_thread() -> int | None:
    return threading.main_thread().ident


def parts(value: Any, path: str) -> list[tuple[Any, str]]:
    """What an object leads to, with the way to it."""
    if is_a(value, functools.partial):
        value = (value.func, *value.args, *value.keywords.values())
    if is_a(value, types.MethodType):
        return [(value.__self__, type(value.__self__).__name__)]
    if is_a(value, MAPPINGS):
        return [(item, f"{path}[{short(key)}]") for key, item in list(value.items())]
    if is_a(value, list | collections.deque | set | tuple):
        return [(item, f"{path}[{index}]") for index, item in enumerate(list(value)[:1000])]
    if is_a(value, threading.local):
        return []  # each thread has others
    parts = [(item, f"{path}.{name}") for name, item in list(namespace(value).items())]
    for kind in mro_of_type(type(value)):
        for name, member in list(vars_of_type(kind).items()):
            if is_a(member, types.MemberDescriptorType):
                try:
                    parts.append((member.__get__(value), f"{path}.{name}"))
                except AttributeError:
                    pass
    return parts


def short(key: Any) -> str:
    scalar = is_a(key, str | int | float | bytes | bool | None)
    return shorten(key, 40) if scalar else type(key).__name__

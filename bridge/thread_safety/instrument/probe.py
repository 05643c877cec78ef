"""The probe that rewritten code calls: it does the operation, and tells of shared objects in it.

For an object that is not shared, each costs a look into a dictionary. The probe is built in layers,
each of which rewritten code may call: locks and hand-overs (``telling.py``), containers
(``items.py``), variables (``names.py``), and here the calls of functions.
"""

from __future__ import annotations

import collections
import contextvars
import functools
import threading
import types
import weakref

from ..detector.access_modes import COPY, GROW, ITERATE, READ, REORDER, WRITE
from .builtins import (
    ARRAY_CHANGES,
    CONTAINERS,
    DEQUE_COPY,
    KEEPS,
    MAPPINGS,
    METHODS,
    NO_ACCESS,
    PASS_ON,
    SNAPSHOTS,
    VIEWS,
    changed_arguments,
    is_a,
    is_array,
    stateful,
)
from .recorder import RAW_LOCKS
from .variables import NamesProbe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..detector.detector import Detector
    from ..libraries.rules import Rules
    from .shared_objects import Shared

#: Modules of the bridge that do nothing with what they are given.
_QUIET = frozenset(["bridge.adapter", "bridge.context", "bridge.tool"])
#: How many views of dicts are remembered; one lives as long as a loop.
_MAX_VIEWS = 1000
#: Of how many functions it is remembered whether anything is documented.
_MAX_FUNCTIONS = 1000
#: Methods that give an object out of a container, and take it from there.
_TAKES = frozenset(["pop", "popleft", "popitem"])
#: Methods that look and act in one step; of ``dict.pop`` only if there is a default.
_LOOKS_ITSELF = frozenset(["setdefault", "pop"])
#: Callable objects that can be looked up in sets; others may not like it, as dead references.
_HASHABLE = frozenset([types.FunctionType, types.BuiltinFunctionType, type])
_BY_IDENTITY: Any = object.__hash__
_SAY_THEIR_MODULE = frozenset([types.FunctionType, types.MethodType, type])
_ATTRIBUTE_FUNCTIONS = frozenset([setattr, delattr, getattr, next, object.__setattr__])
#: Functions that give the same object again.
_LASTING = (functools._lru_cache_wrapper, weakref.ref)


class Probe(NamesProbe):
    """The eyes of the detector in rewritten code: its calls. Any thread may call any method."""

    slice = slice

    def __init__(
        self, detector: Detector, is_own: Callable[[str], bool], rules: Rules | None = None
    ) -> None:
        super().__init__(detector, is_own, rules)
        #: By type, ``Rules.concern`` for its methods by name; by ``NoneType``, for functions.
        self._documented: dict[type, dict[Any, bool]] = {}

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """``function(*args, **kwargs)``"""
        kind = type(function)
        of = function if kind in _SAY_THEIR_MODULE else kind
        if self._is_own(of.__module__) or of.__module__ in _QUIET:
            return function(*args, **kwargs)  # its own code tells
        hashable = kind in _HASHABLE or kind.__hash__ is _BY_IDENTITY
        if hashable and function in _ATTRIBUTE_FUNCTIONS:
            return self._call_attribute_function(function, args)
        bound = getattr(function, "__self__", None)
        if issubclass(type(bound), types.ModuleType):
            bound = None
        shared = None if bound is None else self._shared.known(bound)
        if shared is not None:
            self._tell_bound(function, bound, shared, args, kwargs)
        if self._rules is not None and self._is_documented(function, bound, hashable):
            self._rules.called(self, function, bound, shared, args)
        if not (hashable and function in NO_ACCESS):
            self._tell_arguments(function, args, kwargs)
        if shared is not None and is_a(bound, CONTAINERS):
            return self._call_container(function, shared, args, kwargs)
        if type(bound) in RAW_LOCKS:
            return self._call_lock(function, bound, args, kwargs)
        self._publish_arguments(function, bound, shared, args, kwargs)
        value = function(*args, **kwargs)
        if kind in _LASTING or type(bound) is contextvars.ContextVar:
            self._share(value, _name(function) or _name(bound))
        if function is vars and args:
            owner = self._shared.get(args[0])
            if owner is not None:
                self._share_namespace(value, owner)
        return value

    def enter(self, manager: Any) -> Any:
        """``manager`` of a ``with`` statement."""
        if type(manager) in RAW_LOCKS:
            return _RawLock(self, manager)
        if self._is_own(type(manager).__module__) or self._rules is None:
            return manager
        if self._is_documented(manager, manager, True):
            self._rules.called(self, manager, manager, self._shared.known(manager), ())
        return manager

    def _is_documented(self, function: Any, bound: Any, hashable: bool) -> bool:
        """``Rules.concern``, remembered for each function and for each method of a type."""
        key: Any = function
        if bound is not None:
            key = _name(function)
        elif not hashable:
            return True
        of_kind = self._documented.get(type(bound))
        if of_kind is None:
            of_kind = self._documented[type(bound)] = {}
        found = of_kind.get(key)
        if found is None:
            assert self._rules is not None
            if len(of_kind) >= _MAX_FUNCTIONS:
                of_kind.clear()  # or functions that are made in calls would live for ever
            found = of_kind[key] = self._rules.concern(function, bound)
        return found

    # -- what the function does -------------------------------------------------------------

    def _tell_bound(
        self,
        function: Any,
        bound: Any,
        shared: Shared,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """A method of a shared object is called."""
        name = _name(function)
        if is_a(bound, types.GeneratorType):
            self.tell(shared, "its progress", WRITE, shared.name)
        elif is_array(bound):
            self._tell_array(shared, WRITE if name in ARRAY_CHANGES else READ)
        elif is_a(bound, CONTAINERS) and not self._is_own(_module(function)):
            self._tell_method(bound, shared, name, args, kwargs)
        else:
            modes = stateful(type(bound))
            mode = None if modes is None else modes.get(name, modes[""])
            if mode is not None:
                self.tell(shared, "its state", mode, shared.name)

    def _tell_method(
        self,
        bound: Any,
        shared: Shared,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """A method of a container that is not Python code."""
        found = (
            methods[name]
            for kind, methods in METHODS.items()
            if is_a(bound, kind) and name in methods
        )
        structure, item = next(found, (None, None))
        if name in _LOOKS_ITSELF and len(args) > (name == "pop"):
            self._look_again(shared, args[0])
        if item is not None and args:
            self._tell_item(shared, args[0], item)
            if structure == GROW and args[0] in bound:
                return  # nothing is added
        if structure is not None:
            self._tell_structure(shared, structure)
        if name == "update" and is_a(bound, MAPPINGS):
            self._tell_update(bound, shared, args)
            self._tell_update(bound, shared, (kwargs,))

    def _look_again(self, shared: Shared, key: Any) -> None:
        """Whatever was found there before: now it is looked at and changed in one step."""
        call = self._threads.call or self.thread
        with self.lock:
            self._detector.look_again(call, shared.key, ("item", key))

    def _tell_update(self, object: Any, shared: Shared, args: tuple[Any, ...]) -> None:
        counts = is_a(object, collections.Counter)
        given = args[0] if args and is_a(args[0], dict | list | set | str | tuple) else ()
        for key in list(dict.fromkeys(given))[:100] if counts or is_a(given, dict) else ():
            if counts:
                self._tell_item(shared, key, READ)
            self._tell_item(shared, key, WRITE)

    def _tell_arguments(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Shared objects are passed to code that is not rewritten."""
        for position, argument in enumerate(args):
            shared = self._shared.known(argument)
            view = self._views.get(id(argument)) if shared is None and self._views else None
            if shared is not None:
                self._tell_argument(function, position, argument, shared)
            elif view is not None:
                self._tell_structure(view[1], _use_by(function, argument))
        if not kwargs:
            return
        out = kwargs.get("out")
        for target in out if isinstance(out, tuple) else (out,):
            shared = self._shared.known(target)
            if shared is not None:
                self._tell_array(shared, WRITE)

    def _tell_argument(self, function: Any, position: int, argument: Any, shared: Shared) -> None:
        module = _module(function)
        if module.startswith(PASS_ON):
            return
        if position in changed_arguments(function, _name(function), module):
            self._tell_structure(shared, REORDER)
        elif is_a(argument, types.GeneratorType):
            self.tell(shared, "its progress", WRITE, shared.name)
        elif is_a(argument, memoryview) or is_array(argument):
            self._tell_array(shared, READ)
        elif is_a(argument, CONTAINERS):
            self._tell_structure(shared, _use_by(function, argument))

    # -- who gets to know what --------------------------------------------------------------

    def _publish_arguments(
        self,
        function: Any,
        bound: Any,
        shared: Shared | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Other threads may get what is put into a queue, and what a thread is made of."""
        passes_on = _module(function).startswith(PASS_ON)
        if bound is None:
            if not passes_on or not is_a(function, type):
                return
        elif is_a(bound, threading.Thread) and _name(function) == "start":
            args = tuple(bound.__dict__.values())
        elif (shared is None and not passes_on) or _name(function) not in KEEPS:
            return
        for argument in (*args, *kwargs.values()):
            owner = function if bound is None else bound
            self._publish(argument, type(owner).__name__, deep=passes_on)

    def _call_container(
        self, function: Any, shared: Shared, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A method of a shared container, which may put objects in, take them out or show them."""
        name, clocks = _name(function), shared.clocks
        if name in KEEPS:
            for argument in args:
                self._put_in(shared, argument, f"{shared.name}[…]")
        value = function(*args, **kwargs)
        if name in _TAKES and id(value) in clocks:
            # atomic, and the object is nowhere else: whoever gets it has been handed it
            self.receive(clocks.pop(id(value)))
        if name in VIEWS and not is_a(value, CONTAINERS):
            if len(self._views) > _MAX_VIEWS:
                self._views.clear()
            self._views[id(value)] = value, shared
        else:
            self._share(value, f"{shared.name}[…]")
        return value

    # -- functions that stand for operations ------------------------------------------------

    def _call_lock(
        self, function: Any, lock: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``acquire`` or ``release`` of a lock that was made before locks were traced."""
        name = function.__name__
        if name in ("release", "__exit__"):
            self.raw_released(lock)
        value = function(*args, **kwargs)
        if name in ("acquire", "__enter__") and value:
            self.raw_acquired(lock)
        return value

    def _call_attribute_function(self, function: Any, args: tuple[Any, ...]) -> Any:
        if function is setattr and len(args) == 3:
            self.attribute(args[0], args[1]).value = args[2]
            return None
        if function is object.__setattr__ and len(args) == 3:
            self._replace(*args)
            function(*args)
            self._tell_attribute(args[0], args[1])
            return None
        if function is delattr and len(args) == 2:
            del self.attribute(args[0], args[1]).value
            return None
        if function is getattr and len(args) >= 2 and isinstance(args[1], str):
            try:
                return self.get(args[0], args[1])
            except AttributeError:
                if len(args) == 3:
                    return args[2]
                raise
        if function is next and args:
            return self._next(*args)
        return function(*args)

    def _next(self, iterator: Any, *default: Any) -> Any:
        shared = self._shared.get(iterator)
        if shared is not None and is_a(iterator, types.GeneratorType):
            self.tell(shared, "its progress", WRITE, shared.name)
        return next(iterator, *default)


class _RawLock:
    """A lock that was made before locks were traced, in a ``with`` statement."""

    def __init__(self, probe: Probe, lock: Any) -> None:
        self._probe, self._lock = probe, lock

    def __enter__(self) -> Any:
        result = self._lock.__enter__()
        self._probe.raw_acquired(self._lock)
        return result

    def __exit__(self, *exception: object) -> None:
        self._probe.raw_released(self._lock)
        self._lock.__exit__(*exception)


def _name(function: Any) -> str:
    return getattr(function, "__name__", "")


def _module(function: Any) -> str:
    module: str | None = getattr(function, "__module__", None)
    return module or type(function).__module__


def _use_by(function: Any, container: Any) -> str:
    """How a function of a library uses a container that it is given."""
    mode = SNAPSHOTS.get(function, ITERATE) if type(function) in _HASHABLE else ITERATE
    return DEQUE_COPY if mode == COPY and is_a(container, collections.deque) else mode

"""What rewritten code does with functions, and with the managers of ``with`` statements."""

from __future__ import annotations

import contextvars
import functools
import logging
import types
import weakref
from collections.abc import Callable
from typing import Any

from ..libraries import Rules, module_of_type
from .builtins import (
    CONTAINERS,
    HASHABLE,
    KEEPS,
    NO_ACCESS,
    VIEWS,
    is_a,
    name_of,
)
from .call_effects import CallEffects
from .containers import Containers
from .documented import DocumentedObjects
from .faults import guarded
from .known_objects import Shared
from .locks import RAW_LOCKS, RawLock
from .recorder import Recorder
from .shared_objects import SharedObjects
from .variables import Variables

#: Modules of the bridge that do nothing with what they are given.
_QUIET = frozenset(["bridge.adapter", "bridge.context", "bridge.running_call", "bridge.tool"])
#: Of how many functions it is remembered whether anything is documented.
_MAX_FUNCTIONS = 1000
#: Methods that give an object out of a container, and take it from there.
_TAKES = frozenset(["pop", "popleft", "popitem"])
_BY_IDENTITY: Any = object.__hash__
_SAY_THEIR_MODULE = frozenset([types.FunctionType, types.MethodType, type])
_ATTRIBUTE_FUNCTIONS = frozenset([setattr, delattr, getattr, hasattr, next, object.__setattr__])
#: Functions that give the same object again.
_LASTING = (functools._lru_cache_wrapper, weakref.ref)
#: How a call is made: by whom, and what is done with its value.
_ITS_OWN, _ATTRIBUTE, _CONTAINER, _LOCK, _LASTING_VALUE, _NAMESPACE, _PLAIN = range(7)


class Calls:
    """The operation of calling: does the call, and tells of shared objects in it. For any thread.

    Args:
        is_own: says of a module, by its name, whether it belongs to the program.
        shared: which objects threads share.
        recorder: is told what is done to those.
        containers: for functions that stand for operations on these.
        variables: the same.
        rules: what is documented about functions and types of libraries.
        documented: is told of uses of their objects.
    """

    def __init__(
        self,
        is_own: Callable[[str], bool],
        shared: SharedObjects,
        recorder: Recorder,
        containers: Containers,
        variables: Variables,
        rules: Rules,
        documented: DocumentedObjects,
    ) -> None:
        self.faults = recorder.faults
        self._documented_objects = documented
        self._effects = CallEffects(is_own, shared, recorder, containers, documented)
        self._is_own = is_own
        self._shared = shared
        self._recorder = recorder
        self._containers = containers
        self._variables = variables
        self._rules = rules
        #: By type, ``Rules.concerns`` for its methods by name; by ``NoneType``, for functions.
        self._documented: dict[type, dict[Any, bool]] = {}
        #: Is told of an import: the module that made it, and the names.
        self.imported: Callable[..., object] = lambda importer, *names: None

    def imported_module(self, module: Any, importer: str, name: str) -> Any:
        """``module``, which ``__import__(name)`` gave to the module ``importer``."""
        self.imported(importer, name)
        return module

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """``function(*args, **kwargs)``"""
        way: object = None
        shared = bound = None
        try:
            kind = type(function)
            module = function.__module__ if kind in _SAY_THEIR_MODULE else module_of_type(kind)
            hashable = kind in HASHABLE or kind.__hash__ is _BY_IDENTITY
            if self._is_own(module) or module in _QUIET:
                way = _ITS_OWN  # its own code tells
            elif hashable and function in _ATTRIBUTE_FUNCTIONS:
                way = _ATTRIBUTE
            else:
                bound = getattr(function, "__self__", None)
                if module is None:  # a method of a file that is wrapped
                    bound = getattr(getattr(function, "__wrapped__", None), "__self__", bound)
                if issubclass(type(bound), types.ModuleType):
                    bound = None
                if bound is not None:
                    shared = self._shared.known(bound)
                way = self._before_call(function, bound, shared, hashable, args, kwargs)
        except BaseException as error:
            self.faults.note(error)
        if way is None or way is _ITS_OWN:
            return function(*args, **kwargs)
        if way is _ATTRIBUTE:
            return self._call_attribute_function(function, args)
        if way is _CONTAINER:
            assert shared is not None
            return self._call_container(function, shared, args, kwargs)
        if way is _LOCK:
            return self._call_lock(function, bound, args, kwargs)
        value = function(*args, **kwargs)
        if self._recorder.pause is not None:
            self._recorder.point()
        if way is _LASTING_VALUE:
            self._shared.share(value, name_of(function) or name_of(bound))
        elif way is _NAMESPACE:
            owner = self._shared.get(args[0])
            if owner is not None:
                self._variables.share_namespace(value, owner)
        return value

    def _before_call(
        self,
        function: Any,
        bound: Any,
        shared: Shared | None,
        hashable: bool,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> object:
        """Tell of a call of what is not the program's. Returns the way in which it is to be made."""
        if shared is not None:
            self._effects.record_bound(function, bound, shared, args, kwargs)
        if bound is None and type(function) not in HASHABLE:
            called = self._shared.known(function)
            if called is not None:
                self._documented_objects.use(function, called, "__call__")
        if self._is_documented(function, bound, hashable):
            self._record_rule(function, bound, shared)
        if not (hashable and function in NO_ACCESS):
            self._effects.record_arguments(function, args, kwargs)
        if shared is not None and is_a(bound, CONTAINERS):
            return _CONTAINER
        if type(bound) in RAW_LOCKS:
            return _LOCK
        self._effects.publish_arguments(function, bound, shared, args, kwargs)
        if (
            type(function) in _LASTING
            or type(bound) is contextvars.ContextVar
            or function is logging.getLogger
        ):
            return _LASTING_VALUE
        return _NAMESPACE if function is vars and args else _PLAIN

    def enter(self, manager: Any) -> Any:
        """``manager`` of a ``with`` statement."""
        if type(manager) in RAW_LOCKS:
            return RawLock(self._recorder, manager)
        self._record_manager(manager)
        return manager

    @guarded
    def _record_manager(self, manager: Any) -> None:
        if not self._is_own(module_of_type(type(manager))) and self._is_documented(
            manager, manager, True
        ):
            self._record_rule(manager, manager, self._shared.known(manager))

    def _is_documented(self, function: Any, bound: Any, hashable: bool) -> bool:
        """``Rules.concerns``, remembered for each function and for each method of a type."""
        key: Any = function
        if bound is not None:
            key = name_of(function)
        elif not hashable:
            return True
        of_kind = self._documented.get(type(bound))
        if of_kind is None:
            of_kind = self._documented[type(bound)] = {}
        found = of_kind.get(key)
        if found is None:
            if len(of_kind) >= _MAX_FUNCTIONS:
                of_kind.clear()  # or functions that are made in calls would live for ever
            found = of_kind[key] = self._rules.concerns(function, bound)
        return found

    def _record_rule(self, function: Any, bound: Any, shared: Shared | None) -> None:
        """``function``, a method of ``bound``, is called, and may be documented."""
        if shared is not None and self._documented_objects.use(bound, shared, name_of(function)):
            return
        rule = self._rules.for_call(function, bound)
        if rule is not None:
            self._recorder.record_use(rule)

    # -- functions that stand for operations ------------------------------------------------

    def _call_container(
        self, function: Any, shared: Shared, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A method of a shared container, which may put objects in, take them out or show them."""
        name, clocks = name_of(function), shared.clocks
        if name in KEEPS:
            for argument in args:
                self._containers.put_in(shared, argument, f"{shared.name}[…]")
        value = function(*args, **kwargs)
        if name in _TAKES and id(value) in clocks:
            # atomic, and the object is nowhere else: whoever gets it has been handed it
            self._recorder.receive(clocks.pop(id(value)))
        if name in VIEWS and not is_a(value, CONTAINERS):
            self._containers.add_view(value, shared)
        else:
            self._shared.share(value, f"{shared.name}[…]")
        return value

    def _call_lock(
        self, function: Any, lock: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``acquire`` or ``release`` of a lock that was made before locks were traced."""
        name = function.__name__
        if name in ("release", "__exit__"):
            self._recorder.raw_released(lock)
        value = function(*args, **kwargs)
        if name in ("acquire", "__enter__") and value:
            self._recorder.raw_acquired(lock, not args and not kwargs)
        return value

    def _call_attribute_function(self, function: Any, args: tuple[Any, ...]) -> Any:
        if function is setattr and len(args) == 3:
            self._variables.attribute(args[0], args[1]).value = args[2]
            return None
        if function is object.__setattr__ and len(args) == 3:
            written = self._variables.before_write(*args)
            function(*args)
            self._variables.after_write(args[0], args[1], written)
            return None
        if function is delattr and len(args) == 2:
            del self._variables.attribute(args[0], args[1]).value
            return None
        if function is getattr and len(args) >= 2 and isinstance(args[1], str):
            try:
                return self._variables.get(args[0], args[1])
            except AttributeError:
                if len(args) == 3:
                    return args[2]
                raise
        if function is next and args:
            return self._next(*args)
        if function is hasattr and len(args) == 2:
            self._variables.looked_for(*args)
        return function(*args)

    def _next(self, iterator: Any, *default: Any) -> Any:
        shared = self._shared.get(iterator)
        if shared is not None:
            self._containers.advanced(iterator, shared)
        return next(iterator, *default)

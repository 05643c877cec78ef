"""What rewritten code does with functions, and with the managers of ``with`` statements."""

from __future__ import annotations

import collections
import contextvars
import copy
import functools
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

from ..detector import GROW, ITERATE, READ, REORDER, WALK, WRITE
from ..libraries import Rules
from .builtins import (
    ARRAY_CHANGES,
    CONTAINERS,
    HASHABLE,
    KEEPS,
    MAPPINGS,
    METHODS,
    NO_ACCESS,
    PASS_ON,
    VIEWS,
    changed_arguments,
    is_a,
    is_array,
    looks_deeply,
    module_of,
    name_of,
    stateful,
    use_by,
)
from .containers import NESTED, Containers
from .documented import DocumentedObjects
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
#: Methods that look and act in one step; of ``dict.pop`` only if there is a default.
_LOOKS_ITSELF = frozenset(["setdefault", "pop"])
_BY_IDENTITY: Any = object.__hash__
_SAY_THEIR_MODULE = frozenset([types.FunctionType, types.MethodType, type])
_ATTRIBUTE_FUNCTIONS = frozenset([setattr, delattr, getattr, hasattr, next, object.__setattr__])
#: Functions that give the same object again.
_LASTING = (functools._lru_cache_wrapper, weakref.ref)


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
        self._documented_objects = documented
        self._is_own = is_own
        self._shared = shared
        self._recorder = recorder
        self._containers = containers
        self._variables = variables
        self._rules = rules
        #: By type, ``Rules.concerns`` for its methods by name; by ``NoneType``, for functions.
        self._documented: dict[type, dict[Any, bool]] = {}

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """``function(*args, **kwargs)``"""
        kind = type(function)
        of = function if kind in _SAY_THEIR_MODULE else kind
        if self._is_own(of.__module__) or of.__module__ in _QUIET:
            return function(*args, **kwargs)  # its own code tells
        hashable = kind in HASHABLE or kind.__hash__ is _BY_IDENTITY
        if hashable and function in _ATTRIBUTE_FUNCTIONS:
            return self._call_attribute_function(function, args)
        bound = getattr(function, "__self__", None)
        if issubclass(type(bound), types.ModuleType):
            bound = None
        shared = None if bound is None else self._shared.known(bound)
        if shared is not None:
            self._record_bound(function, bound, shared, args, kwargs)
        if bound is None and kind not in HASHABLE:
            called = self._shared.known(function)
            if called is not None:
                self._documented_objects.use(function, called, "__call__")
        if self._is_documented(function, bound, hashable):
            self._record_rule(function, bound, shared)
        if not (hashable and function in NO_ACCESS):
            self._record_arguments(function, args, kwargs)
        if shared is not None and is_a(bound, CONTAINERS):
            return self._call_container(function, shared, args, kwargs)
        if type(bound) in RAW_LOCKS:
            return self._call_lock(function, bound, args, kwargs)
        self._publish_arguments(function, bound, shared, args, kwargs)
        value = function(*args, **kwargs)
        if self._recorder.pause is not None:
            self._recorder.point()
        if kind in _LASTING or type(bound) is contextvars.ContextVar:
            self._shared.share(value, name_of(function) or name_of(bound))
        if function is vars and args:
            owner = self._shared.get(args[0])
            if owner is not None:
                self._variables.share_namespace(value, owner)
        return value

    def enter(self, manager: Any) -> Any:
        """``manager`` of a ``with`` statement."""
        if type(manager) in RAW_LOCKS:
            return RawLock(self._recorder, manager)
        if self._is_own(type(manager).__module__):
            return manager
        if self._is_documented(manager, manager, True):
            self._record_rule(manager, manager, self._shared.known(manager))
        return manager

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

    # -- what the function does -------------------------------------------------------------

    def _record_bound(
        self,
        function: Any,
        bound: Any,
        shared: Shared,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """A method of a shared object is called."""
        name = name_of(function)
        if is_a(bound, types.GeneratorType):
            self._recorder.record(shared, "its progress", WRITE, shared.name)
        elif is_array(bound):
            self._recorder.record_array(shared, WRITE if name in ARRAY_CHANGES else READ, bound)
        elif is_a(bound, CONTAINERS) and not self._is_own(module_of(function)):
            self._record_method(bound, shared, name, args, kwargs)
        else:
            modes = stateful(type(bound))
            mode = None if modes is None else modes.get(name, modes[""])
            if mode is not None:
                self._recorder.record(shared, "its state", mode, shared.name)

    def _record_method(
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
            # whatever was found there before: now it is looked at and changed in one step
            self._recorder.look_again(shared, args[0])
        if item is not None and args:
            self._recorder.record_item(shared, args[0], item)
            if structure == GROW and args[0] in bound:
                return  # nothing is added
        if structure is not None:
            self._recorder.record_structure(shared, structure)
        if name == "update" and is_a(bound, MAPPINGS):
            self._record_update(bound, shared, args)
            self._record_update(bound, shared, (kwargs,))

    def _record_update(self, object: Any, shared: Shared, args: tuple[Any, ...]) -> None:
        counts = is_a(object, collections.Counter)
        given = args[0] if args and is_a(args[0], dict | list | set | str | tuple) else ()
        for key in list(dict.fromkeys(given))[:100] if counts or is_a(given, dict) else ():
            if counts:
                self._recorder.record_item(shared, key, READ)
            self._recorder.record_item(shared, key, WRITE)

    def _record_arguments(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Shared objects are passed to code that is not rewritten."""
        views = self._containers.views
        for position, argument in enumerate((*args, *kwargs.values()) if kwargs else args):
            shared = self._shared.known(argument)
            if shared is not None:
                self._record_argument(function, position, argument, shared)
            elif views and id(argument) in views:
                self._recorder.record_structure(views[id(argument)][1], use_by(function, argument))
            elif type(argument) in NESTED and looks_deeply(function):
                self._containers.look_deeply(argument, ITERATE)
        if not kwargs:
            return
        out = kwargs.get("out")
        for target in out if isinstance(out, tuple) else (out,):
            shared = self._shared.known(target)
            if shared is not None:
                self._recorder.record_array(shared, WRITE, target)

    def _record_argument(self, function: Any, position: int, argument: Any, shared: Shared) -> None:
        module = module_of(function)
        if module.startswith(PASS_ON):
            return
        if position in changed_arguments(function, name_of(function), module):
            self._recorder.record_structure(shared, REORDER)
        elif is_a(argument, types.GeneratorType):
            self._recorder.record(shared, "its progress", WRITE, shared.name)
        elif is_a(argument, memoryview) or is_array(argument):
            self._recorder.record_array(shared, READ, argument)
        elif looks_deeply(function) and function is not copy.copy:
            self._containers.look_deeply(argument, ITERATE)
        elif is_a(argument, CONTAINERS):
            self._recorder.record_structure(shared, use_by(function, argument))
        elif not self._documented_objects.read(argument, shared) and function is copy.copy:
            self._recorder.record_whole(shared, WALK)

    # -- what other threads get to know -----------------------------------------------------

    def _publish_arguments(
        self,
        function: Any,
        bound: Any,
        shared: Shared | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Other threads may get what is put into a queue, and what a thread is made of."""
        passes_on = module_of(function).startswith(PASS_ON)
        if bound is None:
            if not passes_on or not is_a(function, type):
                return
        elif is_a(bound, threading.Thread) and name_of(function) == "start":
            args = tuple(bound.__dict__.values())
        elif (shared is None and not passes_on) or name_of(function) not in KEEPS:
            return
        for argument in (*args, *kwargs.values()):
            owner = function if bound is None else bound
            self._shared.publish(argument, type(owner).__name__, deep=passes_on)

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

    # -- functions that stand for operations ------------------------------------------------

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
        if shared is not None and is_a(iterator, types.GeneratorType):
            self._recorder.record(shared, "its progress", WRITE, shared.name)
        return next(iterator, *default)

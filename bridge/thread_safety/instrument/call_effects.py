"""What a call of a function that is not the program's does to shared objects: its own, and its arguments."""

from __future__ import annotations

import collections
import copy
import threading
import types
from collections.abc import Callable
from typing import Any

from ..detector import GROW, ITERATE, READ, REORDER, WALK, WRITE
from .builtins import (
    ARRAY_CHANGES,
    CONTAINERS,
    KEEPS,
    MAPPINGS,
    METHODS,
    PASS_ON,
    changed_arguments,
    is_a,
    is_array,
    looks_deeply,
    module_of,
    name_of,
    namespace,
    stateful,
    use_by,
)
from .containers import NESTED, Containers
from .documented import DocumentedObjects
from .known_objects import Shared
from .recorder import Recorder
from .shared_objects import SharedObjects

#: Methods that look and act in one step; of ``dict.pop`` only if there is a default.
_LOOKS_ITSELF = frozenset(["setdefault", "pop"])


class CallEffects:
    """Tells of what calls do that are about to be made. For any thread.

    Args:
        is_own: says of a module, by its name, whether it belongs to the program.
        shared: which objects threads share.
        recorder: is told what is done to those.
        containers: is told of those that are looked at in every part.
        documented: is told of uses of the objects of libraries.
    """

    def __init__(
        self,
        is_own: Callable[[str], bool],
        shared: SharedObjects,
        recorder: Recorder,
        containers: Containers,
        documented: DocumentedObjects,
    ) -> None:
        self._is_own = is_own
        self._shared = shared
        self._recorder = recorder
        self._containers = containers
        self._documented = documented

    def record_bound(
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
        elif is_a(bound, memoryview):
            if name in ("tobytes", "tolist", "hex"):
                self._recorder.record_array(shared, READ, bound)
        elif is_a(bound, CONTAINERS) and not self._is_own(module_of(function)):
            self._record_method(bound, shared, name, args, kwargs)
        else:
            modes = stateful(type(bound))
            mode = None if modes is None else modes.get(name, modes[""])
            if type(mode) is tuple:
                attribute, mode = mode
                self._record_part(bound, shared, attribute, mode)
            elif mode is not None:
                self._recorder.record(shared, "its state", mode, shared.name)

    def _record_part(self, bound: Any, shared: Shared, attribute: str, mode: str) -> None:
        """A method uses a container that an attribute of its object names."""
        value = namespace(bound).get(attribute)
        self._shared.share(value, f"{shared.name}.{attribute}")
        part = self._shared.get(value)
        if part is not None:
            self._recorder.record_structure(part, mode)

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

    def record_arguments(
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
        elif not self._documented.read(argument, shared) and function is copy.copy:
            self._recorder.record_whole(shared, WALK)

    # -- what other threads get to know -----------------------------------------------------

    def publish_arguments(
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

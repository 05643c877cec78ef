"""What rewritten code calls: it does the operation, and tells the detector if the object is shared.

For an object that is not, each costs a look into a dictionary.
"""

from __future__ import annotations

import _thread
import collections
import contextvars
import functools
import itertools
import operator
import sys
import threading
import types
import weakref

from .containers import (
    ARRAY_CHANGES,
    CONTAINERS,
    KEEPS,
    MAPPINGS,
    METHODS,
    NO_ACCESS,
    PASS_ON,
    SEQUENCES,
    SNAPSHOTS,
    VIEWS,
    changed_arguments,
    is_a,
    is_array,
    namespace,
    stateful,
)
from .model import GROW, ITERATE, PEEK, READ, REORDER, SHRINK, TOUCH, WRITE, Detector
from .shared import Shared, SharedObjects, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from typing import Any

    from .model import Clock, Frame
    from .rules import Rules

#: The variable that stands for how a container is made up, beside its items.
STRUCTURE = "the structure"
#: How many frames of the program a finding shows.
_DEPTH = 8
#: Modules of the bridge that do nothing with what they are given.
_QUIET = frozenset(["bridge.adapter", "bridge.context", "bridge.tool"])
_PACKAGE = __name__.rpartition(".")[0]
_GLOBALS = globals()
#: Modules whose frames are left out.
_SKIPPED = (_PACKAGE, "threading")
#: How many stacks each thread keeps.
_MAX_STACKS = 1000
#: How many views of dicts are remembered; one lives as long as a loop.
_MAX_VIEWS = 1000
#: Methods that give an object out of a container, and take it from there.
_TAKES = frozenset(["pop", "popleft", "popitem"])
#: Methods that look and act in one step; of ``dict.pop`` only if there is a default.
_LOOKS_ITSELF = frozenset(["setdefault", "pop"])
_BUILTIN_METHODS = (types.BuiltinMethodType, types.MethodWrapperType)


class Probe:
    """The eyes of the detector in rewritten code. Any thread may call any method.

    ``is_own``: does a module, by its name, belong to the program that is checked? ``rules``: what
    is documented about the objects and functions of libraries.
    """

    slice = slice

    def __init__(
        self, detector: Detector, is_own: Callable[[str], bool], rules: Rules | None = None
    ) -> None:
        self._detector = detector
        self._is_own = is_own
        self._rules = rules
        #: Of ``dict.items()`` and the like: the view, and the dict.
        self._views: dict[int, tuple[Any, Shared]] = {}
        self._plain: dict[tuple[type, str], bool] = {}
        self._documented: dict[Any, bool] = {}
        # reentrant: keys of items may have an __eq__ that is rewritten code
        self.lock = _thread.RLock()
        self._shared = SharedObjects(is_own, rules, self.lock)
        self._threads = _Threads()

    # -- what is shared ---------------------------------------------------------------------

    def watch(self, root: Any, name: str) -> None:
        """Note an object, and all that it leads to now, as known to every thread."""
        self._shared.watch(root, name)

    def watch_module(self, module: types.ModuleType) -> None:
        """Watch the globals of a module, and the data of its classes."""
        self._shared.watch_module(module)

    def _share(self, value: Any, name: str) -> None:
        self._shared.share(value, name, self.thread)

    def _publish(self, value: Any, name: str, *, deep: bool = False) -> None:
        self._shared.publish(value, name, self._threads.call or self.thread, deep)

    # -- telling ----------------------------------------------------------------------------

    @property
    def thread(self) -> int:
        """The number of the calling thread. (What ``threading`` says is used again.)"""
        return self._threads.number

    @property
    def in_call(self) -> bool:
        """Does the calling thread run a call?"""
        return self._threads.call is not None

    def locks(self) -> frozenset[Hashable]:
        """The locks that the calling thread holds."""
        with self.lock:
            return self._detector.held(self.thread)

    def begin(self, call: Hashable) -> None:
        """A call begins on this thread, or goes on here after a pause."""
        self._threads.call = call
        with self.lock:
            self._detector.begin(call)

    def pause(self) -> None:
        """The call on this thread goes on later."""
        self._threads.call = None

    def end(self, result: Any = None) -> None:
        """The call on this thread has ended; ``result`` will be read after all its locks are free."""
        for value in (result, *(result.values() if type(result) is dict else ())):
            shared = self._shared.known(value)
            if shared is not None and (is_a(value, CONTAINERS) or is_array(value)):
                self._tell_structure(shared, ITERATE)
        call, self._threads.call = self._threads.call, None
        with self.lock:
            self._detector.end(call)

    def acquire(self, lock: Hashable) -> None:
        """This thread holds a lock from now on."""
        with self.lock:
            self._detector.acquire(self.thread, lock)

    def release(self, lock: Hashable, thread: int) -> None:
        """``thread`` holds it no more."""
        with self.lock:
            self._detector.release(thread, lock)

    def send(self) -> Clock:
        """What this thread has done so far, to be handed over."""
        with self.lock:
            return self._detector.send(self.thread)

    def receive(self, clock: Clock | None) -> None:
        """This thread was handed what another one had done."""
        if clock is not None:
            with self.lock:
                self._detector.receive(self.thread, clock)

    def receive_softly(self, clock: Clock | None) -> None:
        """The same, if the program keeps to what it does about its locks here."""
        if clock is not None:
            with self.lock:
                self._detector.receive_softly(self.thread, clock)

    def tell(
        self,
        shared: Shared,
        part: Hashable,
        mode: str,
        name: str,
        rule: str | None = None,
        augmented: bool = False,
    ) -> None:
        """This thread accesses a part of a shared object."""
        here = self._threads
        thread, stack = here.number, self._stack(here)
        call = here.call or thread
        with self.lock:
            if not shared.escaped and shared.owner != thread:
                shared.escaped = True
                self._detector.forget(id(shared.object))
            unfinished = shared.publisher is not None and shared.publisher == call
            self._detector.access(
                thread,
                id(shared.object),
                part,
                mode,
                name,
                stack,
                call,
                rule,
                unfinished,
                augmented,
            )

    def _stack(self, here: _Threads) -> tuple[Frame, ...]:
        """``stack_here``; but where this thread comes by again from the same caller, what it was."""
        frame: types.FrameType = sys._getframe(2)
        while frame.f_globals is _GLOBALS and frame.f_back is not None:
            frame = frame.f_back
        back = frame.f_back
        key = frame.f_code, frame.f_lineno, back and back.f_code, back and back.f_lineno
        stacks = here.stacks
        stack = stacks.get(key)
        if stack is None:
            if len(stacks) >= _MAX_STACKS:
                stacks.clear()
            stack = stacks[key] = stack_here()
        return stack

    def tell_rule(self, owner: str, name: str, rule: str) -> None:
        """This thread uses a module whose functions must not run at the same time."""
        stack = stack_here()
        with self.lock:
            call = self._threads.call or self.thread
            self._detector.access(self.thread, owner, "state", WRITE, name, stack, call, rule)

    def _tell_structure(self, shared: Shared, mode: str) -> None:
        self.tell(shared, STRUCTURE, mode, shared.name)

    def _tell_item(self, shared: Shared, key: Any, mode: str, augmented: bool = False) -> None:
        of = shared.namespace_of
        if of is not None:
            self.tell(of, ("attribute", key), mode, f"{of.name}.{key}", augmented=augmented)
            return
        try:
            name = f"{shared.name}[{short(key)}]"
            self.tell(shared, ("item", key), mode, name, augmented=augmented)
        except TypeError:
            pass  # not hashable: the operation itself will say so

    # -- decisions --------------------------------------------------------------------------

    def mark(self) -> int:
        """The point that the call has come to, for the methods below."""
        return self._detector.mark(self._threads.call or self.thread)

    def named(self, name: str, mark: int, value: Any, *names: str) -> Any:
        """``value`` of a local variable: made since ``mark``, and from other local variables."""
        call = self._threads.call or self.thread
        if names or self._detector.mark(call) != mark:
            with self.lock:
                self._detector.name(call, name, mark, names)
        return value

    def decided(self, test: str | None, mark: int, value: Any, *names: str) -> Any:
        """``value`` of a test that says how the call goes on; for the rest as ``named``."""
        self.test(value)
        call = self._threads.call or self.thread
        if names or self._detector.mark(call) != mark:
            with self.lock:
                self._detector.decide(self.thread, call, test, mark, names)
        return value

    def settled(self, *tests: str) -> None:
        """What depends on these tests is done."""
        call = self._threads.call or self.thread
        if self._detector.mark(call):
            with self.lock:
                for test in tests:
                    self._detector.settle(call, test)

    # -- attributes -------------------------------------------------------------------------

    def get(self, object: Any, name: str, augmented: bool = False) -> Any:
        """``object.name``; ``augmented``: it is changed by the same statement."""
        shared = self._shared.get(object)
        if shared is None:
            return getattr(object, name)
        holder, data = self._holder(object, name, shared)
        if data:
            self.tell(
                holder, ("attribute", name), READ, f"{holder.name}.{name}", augmented=augmented
            )
        value = getattr(object, name)
        if name == "__dict__":
            self._share_namespace(value, shared)
        elif data:
            self._share(value, f"{shared.name}.{name}")
        return value

    def _holder(self, object: Any, name: str, shared: Shared) -> tuple[Shared, bool]:
        """Whose variable the attribute is, the object's or its class's, and whether it is data."""
        if is_a(object, type):
            return self._class_holder(object, name, shared)
        kind = type(object)
        key = kind, name
        plain = self._plain.get(key)
        if plain is None:
            found = in_mro(kind, name)
            plain = found is None or is_a(
                found[1], types.MemberDescriptorType | types.GetSetDescriptorType
            )
            plain = (
                plain and name != "__dict__" and not (name.startswith("__") and name.endswith("__"))
            )
            self._plain[key] = plain
        if plain:
            return shared, True
        if name in namespace(object):
            return shared, not is_a(in_mro(kind, name)[1], property)  # type: ignore[index]
        return self._class_holder(kind, name, shared)

    def _class_holder(self, kind: type, name: str, shared: Shared) -> tuple[Shared, bool]:
        found = in_mro(kind, name)
        if found is None:
            return shared, False
        holder, value = found
        owner = self._shared.get(holder)
        if owner is None or is_a(value, types.FunctionType) or hasattr(value, "__get__"):
            return shared, False
        return owner, not name.startswith("__")

    def attribute(self, object: Any, name: str) -> _Attribute:
        """``object.name`` where it is written."""
        return _Attribute(self, object, name)

    def _tell_attribute(self, object: Any, name: str) -> None:
        shared = self._shared.get(object)
        if shared is None:
            return
        found = None if is_a(object, type) else in_mro(type(object), name)
        if found is not None and is_a(found[1], property):
            return  # its own code tells
        self.tell(shared, ("attribute", name), WRITE, f"{shared.name}.{name}")

    def _replace(self, object: Any, name: str, value: Any) -> None:
        """An attribute is about to be written: others will find the value, and not the old one.

        ``batch, self.pending = self.pending, []``: whoever swaps a container for a new one may
        work on the old one alone. If others know it still, they are seen when they use it.
        """
        shared = self._shared.get(object)
        if shared is None or is_a(object, threading.local):
            return
        self._publish(value, f"{shared.name}.{name}")
        old = self._shared.get(namespace(object).get(name))
        if old is not None and old.name == f"{shared.name}.{name}":
            with self.lock:
                self._detector.forget(id(old.object))
                old.owner, old.escaped, old.publisher = self.thread, False, None

    def _share_namespace(self, namespace: Any, shared: Shared) -> None:
        entry = Shared(namespace, f"{shared.name}.__dict__", None, True)
        entry.namespace_of = shared
        self._shared.add(namespace, entry)

    # -- items ------------------------------------------------------------------------------

    def item(self, container: Any, key: Any, augmented: bool = False) -> Any:
        """``container[key]``; ``augmented``: it is changed by the same statement."""
        shared = self._shared.known(container)
        if shared is None:
            return container[key]
        self._tell_look_at(shared, container, key, augmented)
        value = container[key]
        self._share(value, f"{shared.name}[{short(key)}]")
        return value

    def _tell_look_at(self, shared: Shared, container: Any, key: Any, augmented: bool) -> None:
        if is_a(container, MAPPINGS):
            self._tell_item(shared, key, READ, augmented)
            if key not in container and hasattr(type(container), "__missing__"):
                self._tell_item(shared, key, TOUCH)
                self._tell_structure(shared, GROW)
        elif is_array(container):
            self._tell_region(shared, container, key, READ)
        elif is_a(container, memoryview):
            self._tell_array(shared, READ)
        elif is_a(container, SEQUENCES):
            self._tell_structure(shared, PEEK)
            if is_a(key, int):
                self._tell_item(shared, key % (len(container) or 1), READ, augmented)

    def place(self, container: Any, key: Any) -> _Place:
        """``container[key]`` where it is written."""
        return _Place(self, container, key)

    def _tell_change_of(self, container: Any, key: Any, *, deletes: bool) -> None:
        shared = self._shared.known(container)
        if shared is None:
            if self._rules is not None:
                self._rules.item_set(self, container)
            return
        if is_a(container, MAPPINGS):
            new = key not in container
            self._tell_item(shared, key, TOUCH if deletes else WRITE)
            if deletes or new:
                self._tell_structure(shared, SHRINK if deletes else GROW)
        elif is_array(container):
            self._tell_region(shared, container, key, WRITE)
        elif is_a(container, memoryview):
            self._tell_array(shared, WRITE)
        elif is_a(container, SEQUENCES):
            if deletes or is_a(key, slice):
                self._tell_structure(shared, SHRINK if deletes else REORDER)
            else:
                self._tell_item(shared, key % (len(container) or 1), WRITE)

    def _keep(self, container: Any, value: Any, key: Any) -> None:
        shared = self._shared.known(container)
        if shared is not None and not is_a(container, memoryview) and not is_array(container):
            self._put_in(shared, value, f"{shared.name}[{short(key)}]")

    def _put_in(self, shared: Shared, value: Any, name: str) -> None:
        """An object is put into a container; who takes it out again is handed it."""
        self._publish(value, name)
        if self._shared.get(value) is not None:
            shared.clocks[id(value)] = self.send()

    def _tell_region(self, shared: Shared, container: Any, key: Any, mode: str) -> None:
        """Parts of an array are variables of their own where an integer names them."""
        first = key[0] if is_a(key, tuple) and key else key
        if is_a(first, int) and container.base is None and container.shape:
            self._tell_item(shared, first % (container.shape[0] or 1), mode)
            return
        if is_a(first, slice) and container.base is None and container.shape:
            rows = range(*first.indices(container.shape[0]))
            if 0 < len(rows) <= 64 and len(rows) < container.shape[0]:
                for row in rows:
                    self._tell_item(shared, row, mode)
                return
        self._tell_array(shared, mode)

    def _tell_array(self, shared: Shared, mode: str) -> None:
        """The whole of an array: its structure races with itself, and with each of its rows."""
        self._tell_structure(shared, {READ: ITERATE, WRITE: REORDER}[mode])

    def contains(self, item: Any, container: Any) -> bool:
        """``item in container``"""
        shared = self._shared.known(container)
        if shared is not None:
            if is_a(container, (*MAPPINGS, set)):
                self._tell_item(shared, item, READ)
            else:
                self._tell_structure(shared, PEEK)
        return item in container

    def test(self, value: Any) -> Any:
        """``value`` where its truth is asked for."""
        shared = self._shared.get(value)
        if shared is not None and is_a(value, CONTAINERS):
            self._tell_structure(shared, PEEK)
        return value

    def iterate(self, iterable: Any) -> Any:
        """``iterable`` where a loop walks through it."""
        shared = self._shared.known(iterable)
        if shared is None:
            view = self._views.get(id(iterable))
            return iterable if view is None else self._walk(iterable, view[1])
        if is_a(iterable, types.GeneratorType):
            return self._advance(iterable, shared)
        if is_a(iterable, CONTAINERS) or is_array(iterable):
            return self._walk(iterable, shared)
        return iterable

    def operand(self, value: Any) -> Any:
        """``value`` as a part of an expression."""
        shared = self._shared.known(value)
        if shared is not None:
            if is_array(value):
                self._tell_array(shared, READ)
            elif is_a(value, CONTAINERS):
                self._tell_structure(shared, PEEK)
        return value

    def _walk(self, iterable: Any, shared: Shared) -> Iterator[Any]:
        self._tell_structure(shared, ITERATE)
        for value in iterable:
            self._share(value, f"{shared.name}[…]")
            if is_a(value, tuple):
                for part in value:
                    self._share(part, f"{shared.name}[…]")
            yield value

    def _advance(self, generator: Any, shared: Shared) -> Iterator[Any]:
        while True:
            self.tell(shared, "its progress", WRITE, shared.name)
            try:
                value = next(generator)
            except StopIteration:
                return
            yield value

    # -- names ------------------------------------------------------------------------------

    def read_global(self, module: str, name: str, value: Any, augmented: bool = False) -> Any:
        """A global variable to which some function assigns."""
        self._tell_global(module, name, READ, augmented)
        self._share(value, f"{module}.{name}")
        return value

    def wrote_global(self, module: str, name: str, value: Any) -> None:
        """The same, where it was assigned."""
        self._tell_global(module, name, WRITE)

    def _tell_global(self, module: str, name: str, mode: str, augmented: bool = False) -> None:
        namespace = sys.modules[module].__dict__ if module in sys.modules else None
        self._tell_name(namespace, module, name, mode, augmented)

    def read_cell(
        self, closure: types.FunctionType, name: str, value: Any, augmented: bool = False
    ) -> Any:
        """A variable of a function that an inner function assigns to."""
        self._tell_name(_cell_of(closure, name), _function_of(closure), name, READ, augmented)
        self._share(value, f"{_function_of(closure)}.{name}")
        return value

    def wrote_cell(self, closure: types.FunctionType, name: str, value: Any) -> None:
        """The same, where it was assigned."""
        self._tell_name(_cell_of(closure, name), _function_of(closure), name, WRITE)

    def _tell_name(
        self, holder: Any, where: str, name: str, mode: str, augmented: bool = False
    ) -> None:
        if holder is None:
            return
        shared = self._shared.get(holder)
        if shared is None:
            escaped = is_a(holder, dict)
            shared = Shared(holder, where, None if escaped else self.thread, escaped)
            self._shared.add(holder, shared)
        self.tell(shared, ("attribute", name), mode, f"{where}.{name}", augmented=augmented)

    def captured(self, function: Any) -> Any:
        """A function within a function: whoever gets it knows the variables that it uses."""
        inner = getattr(function, "__wrapped__", function)
        code = getattr(inner, "__code__", None)
        for name, cell in zip(
            getattr(code, "co_freevars", ()),
            getattr(inner, "__closure__", None) or (),
            strict=False,
        ):
            try:
                self._publish(cell.cell_contents, name)
            except ValueError:
                pass  # assigned later
        return function

    def free(self, name: str, value: Any) -> Any:
        """A variable of the function around."""
        self._share(value, name)
        return value

    # -- calls ------------------------------------------------------------------------------

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """``function(*args, **kwargs)``"""
        kind = type(function)
        of = function if kind in _SAY_THEIR_MODULE else kind
        if self._is_own(of.__module__) or of.__module__ in _QUIET:
            return function(*args, **kwargs)  # its own code tells
        hashable = kind.__hash__ is not None
        if hashable and function in _ATTRIBUTE_FUNCTIONS:
            return self._call_attribute_function(function, args)
        bound = getattr(function, "__self__", None)
        if is_a(bound, types.ModuleType):
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

    def _is_documented(self, function: Any, bound: Any, hashable: bool) -> bool:
        """``Rules.concern``, remembered for each function and for each method of a type."""
        if bound is not None:
            key: Any = type(bound), _name(function)
        elif hashable:
            key = function
        else:
            return True
        found = self._documented.get(key)
        if found is None:
            assert self._rules is not None
            found = self._documented[key] = self._rules.concern(function, bound)
        return found

    def _publish_arguments(
        self,
        function: Any,
        bound: Any,
        shared: Shared | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Other threads may get what is put into a queue, and what a thread is made of."""
        if not args and not kwargs and bound is None:
            return
        passes_on = _module(function).startswith(PASS_ON)
        if is_a(bound, threading.Thread) and _name(function) == "start":
            args = tuple(bound.__dict__.values())
        elif bound is not None and (shared is not None or passes_on):
            if _name(function) not in KEEPS:
                return
        elif not (passes_on and is_a(function, type)):
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

    def _tell_arguments(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Shared objects are passed to code that is not rewritten."""
        for position, argument in enumerate(args):
            shared = self._shared.known(argument)
            view = self._views.get(id(argument)) if shared is None and self._views else None
            if shared is not None:
                self._tell_argument(function, position, argument, shared)
            elif view is not None:
                self._tell_structure(view[1], _use_by(function))
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
            self._tell_structure(shared, _use_by(function))

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

    def raw_acquired(self, lock: Any) -> None:
        """A lock that nobody traces was taken, perhaps once more."""
        depths = self._threads.depths
        depths[id(lock)] = depths.get(id(lock), 0) + 1
        if depths[id(lock)] == 1:
            self.acquire(("lock", id(lock)))

    def raw_released(self, lock: Any) -> None:
        """It is given back, perhaps for the last time."""
        depths = self._threads.depths
        depths[id(lock)] = depths.get(id(lock), 0) - 1
        if depths[id(lock)] <= 0:
            del depths[id(lock)]
            self.release(("lock", id(lock)), self.thread)

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
            self._detector.look_again(call, id(shared.object), ("item", key))

    def _tell_update(self, object: Any, shared: Shared, args: tuple[Any, ...]) -> None:
        counts = is_a(object, collections.Counter)
        given = args[0] if args and is_a(args[0], dict | list | set | str | tuple) else ()
        for key in list(dict.fromkeys(given))[:100] if counts or is_a(given, dict) else ():
            if counts:
                self._tell_item(shared, key, READ)
            self._tell_item(shared, key, WRITE)

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

    def in_place(self, name: str, old: Any, value: Any) -> Any:
        """``old += value`` and the like, for a variable: a container changes in place."""
        self.tell_in_place(old)
        return getattr(operator, name)(old, value)

    def tell_in_place(self, value: Any) -> None:
        """``value`` is about to be changed by an operator."""
        shared = self._shared.known(value)
        if shared is None:
            return
        if is_array(value):
            self._tell_array(shared, READ)
            self._tell_array(shared, WRITE)
        elif is_a(value, CONTAINERS):
            self._tell_structure(shared, GROW)

    def enter(self, manager: Any) -> Any:
        """``manager`` of a ``with`` statement."""
        if type(manager) in RAW_LOCKS:
            return _RawLock(self, manager)
        if self._rules is not None and not self._is_own(type(manager).__module__):
            self._rules.called(self, manager, manager, self._shared.known(manager), ())
        return manager


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


class _Threads(threading.local):
    """Of each thread: a number that no other thread ever has, and the call that it runs."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self.number = next(self._numbers)
        self.call: Hashable = None
        #: How often each lock that nobody traces is held.
        self.depths: dict[int, int] = {}
        self.stacks: dict[Hashable, tuple[Frame, ...]] = {}


class _Attribute:
    """``object.name`` as the target of an assignment: read, written and deleted as ``value``."""

    __slots__ = ("_name", "_object", "_probe")

    def __init__(self, probe: Probe, object: Any, name: str) -> None:
        self._probe, self._object, self._name = probe, object, name

    @property
    def value(self) -> Any:
        return self._probe.get(self._object, self._name)

    @value.setter
    def value(self, value: Any) -> None:
        self._probe._replace(self._object, self._name, value)
        setattr(self._object, self._name, value)
        self._probe._tell_attribute(self._object, self._name)

    @value.deleter
    def value(self) -> None:
        delattr(self._object, self._name)
        self._probe._tell_attribute(self._object, self._name)

    @property
    def in_place(self) -> Any:
        value = self._probe.get(self._object, self._name, True)
        self._probe.tell_in_place(value)
        return value

    @in_place.setter
    def in_place(self, value: Any) -> None:
        self.value = value


class _Place:
    """``container[key]`` as the target of an assignment."""

    __slots__ = ("_container", "_key", "_probe")

    def __init__(self, probe: Probe, container: Any, key: Any) -> None:
        self._probe, self._container, self._key = probe, container, key

    @property
    def value(self) -> Any:
        return self._probe.item(self._container, self._key)

    @value.setter
    def value(self, value: Any) -> None:
        self._probe._tell_change_of(self._container, self._key, deletes=False)
        self._probe._keep(self._container, value, self._key)
        self._container[self._key] = value

    @value.deleter
    def value(self) -> None:
        self._probe._tell_change_of(self._container, self._key, deletes=True)
        del self._container[self._key]

    @property
    def in_place(self) -> Any:
        value = self._probe.item(self._container, self._key, True)
        if not is_array(self._container):  # of an array it is a view, which is assigned next
            self._probe.tell_in_place(value)
        return value

    @in_place.setter
    def in_place(self, value: Any) -> None:
        self.value = value


_SAY_THEIR_MODULE = frozenset([types.FunctionType, types.MethodType, type])
_ATTRIBUTE_FUNCTIONS = frozenset([setattr, delattr, getattr, next, object.__setattr__])
#: Functions that give the same object again.
_LASTING = (functools._lru_cache_wrapper, weakref.ref)
#: What ``threading.Lock()`` and ``RLock()`` are while nobody traces them.
RAW_LOCKS = (type(_thread.allocate_lock()), type(_thread.RLock()))


def stack_here() -> tuple[Frame, ...]:
    """Where the program is: its innermost frames, without those of this package."""
    frame = sys._getframe(1)
    found: list[Frame] = []
    while frame is not None and len(found) < _DEPTH:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(_SKIPPED):
            code = frame.f_code
            found.append((code.co_filename, frame.f_lineno, code.co_qualname))
        elif found and name.startswith(_PACKAGE):
            break  # below is who ran the call
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)


def in_mro(kind: type, name: str) -> tuple[type, Any] | None:
    for base in kind.__mro__:
        if name in base.__dict__:
            return base, base.__dict__[name]
    return None


def _name(function: Any) -> str:
    return getattr(function, "__name__", "")


def _module(function: Any) -> str:
    module: str | None = getattr(function, "__module__", None)
    return module or type(function).__module__


def _use_by(function: Any) -> str:
    """How a function of a library uses a container that it is given."""
    return SNAPSHOTS.get(function, ITERATE) if type(function).__hash__ is not None else ITERATE


def _cell_of(closure: types.FunctionType, name: str) -> Any:
    if closure.__closure__ is None:
        return None
    return closure.__closure__[closure.__code__.co_freevars.index(name)]


def _function_of(closure: types.FunctionType) -> str:
    return closure.__qualname__.replace(".<locals>", "").rpartition(".")[0]

"""What rewritten code does with containers: items, loops, membership, truth, operators."""

from __future__ import annotations

import collections
import itertools
import operator
import sys
import types
from collections.abc import Iterator
from typing import Any

from ..detector import COPY, GROW, ITERATE, PEEK, READ, REORDER, SHRINK, TOUCH, WALK, WRITE
from ..libraries import Rules
from .array_regions import record_region
from .builtins import (
    CONTAINERS,
    MAPPINGS,
    SEQUENCES,
    compares_fields,
    has_key,
    is_a,
    is_array,
    namespace,
    position_of,
    stateful,
)
from .documented import DocumentedObjects, viewed
from .faults import guarded
from .known_objects import Shared
from .places import Item
from .recorder import Recorder
from .shared_objects import SharedObjects, short
from .stacks import place_of
from .values import UNSEEN, describe_write

#: How many views of dicts are remembered before it is looked which of them are still used; and how
#: many references of one are our own.
_MAX_VIEWS, _OWN_REFERENCES = 20, 2
#: Into what other objects are put, and how many of them are looked at.
NESTED, _MAX_PARTS = (dict, list, tuple, collections.deque), 100


class Containers:
    """The operations on containers of every kind, generators included. For any thread.

    Args:
        shared: which objects threads share.
        recorder: is told what is done to those.
        rules: what is documented about changes of others.
        documented: is told of what is done to objects of libraries.
    """

    #: What stands between brackets, ``a[1:2]``.
    slice = slice

    def __init__(
        self,
        shared: SharedObjects,
        recorder: Recorder,
        rules: Rules,
        documented: DocumentedObjects,
    ) -> None:
        self.faults = recorder.faults
        self._documented = documented
        self._shared = shared
        self._recorder = recorder
        self._rules = rules
        #: Of ``dict.items()`` and the like: the view, and the dict.
        self.views: dict[int, tuple[Any, Shared]] = {}

    # -- items ------------------------------------------------------------------------------

    def item(self, container: Any, key: Any, augmented: bool = False) -> Any:
        """``container[key]``; ``augmented``: it is changed by the same statement."""
        shared = self._shared.known(container)
        if shared is None:
            return container[key]
        self._look_at(shared, container, key, augmented)
        value = container[key]
        self._shared.share(value, f"{shared.name}[{short(key)}]")
        return value

    @guarded
    def _look_at(self, shared: Shared, container: Any, key: Any, augmented: bool) -> None:
        if is_a(container, MAPPINGS):
            self._recorder.record_item(shared, key, READ, augmented)
            if hasattr(type(container), "__missing__") and has_key(container, key) is False:
                self._recorder.record_item(shared, key, TOUCH)
                self._recorder.record_structure(shared, GROW)
        elif is_array(container):
            record_region(self._recorder, shared, container, key, READ)
        elif is_a(container, memoryview):
            self._recorder.record_array(shared, READ, container)
        elif is_a(container, SEQUENCES):
            self._recorder.record_structure(shared, COPY if is_a(key, slice) else PEEK)
            position = position_of(container, key)
            if position is not None:
                self._recorder.record_item(shared, position, READ, augmented)
        else:
            self._documented.use(container, shared, "__getitem__")

    def place(self, container: Any, key: Any) -> Item:
        """``container[key]`` where it is written."""
        return Item(self, container, key)

    @guarded
    def before_change(self, container: Any, key: Any, value: Any, *, deletes: bool) -> None:
        """``container[key]`` is about to become ``value``, or to be deleted."""
        container = viewed(container)
        shared = self._shared.known(container)
        if shared is None:
            rule = self._rules.for_item_change(container)
            if rule is not None:
                self._recorder.record_use(rule)
            return
        if is_a(container, MAPPINGS):
            new = not has_key(container, key)
            if deletes:
                self._recorder.record_item(shared, key, TOUCH)
            else:
                self._shared.publish(value, f"{shared.name}[{short(key)}]")
                before = None if new else _found(container, key)
                written = describe_write(before, value, self._shared)
                self._recorder.record_item(shared, key, WRITE, written=written)
            if deletes or new:
                self._recorder.record_structure(shared, SHRINK if deletes else GROW)
            else:
                self._recorder.record_overwriting(shared)
        elif is_array(container):
            record_region(self._recorder, shared, container, key, WRITE)
        elif is_a(container, memoryview):
            self._recorder.record_array(shared, WRITE, container)
        elif is_a(container, SEQUENCES):
            if deletes or is_a(key, slice):
                self._recorder.record_structure(shared, SHRINK if deletes else REORDER)
            elif (position := position_of(container, key)) is not None:
                self._recorder.record_item(shared, position, WRITE)
                self._recorder.record_overwriting(shared)
        else:
            name = "__delitem__" if deletes else "__setitem__"
            self._documented.use(container, shared, name)

    @guarded
    def keep(self, container: Any, value: Any, key: Any) -> None:
        """``value`` is about to become ``container[key]``."""
        shared = self._shared.known(container)
        if shared is not None and not is_a(container, memoryview) and not is_array(container):
            self.put_in(shared, value, f"{shared.name}[{short(key)}]")

    @guarded
    def put_in(self, shared: Shared, value: Any, name: str) -> None:
        """An object is put into a container; whoever takes it out again is handed it."""
        self._shared.publish(value, name)
        if self._shared.get(value) is not None:
            shared.came(value, self._recorder.send())

    # -- the whole --------------------------------------------------------------------------

    def contains(self, item: Any, container: Any) -> bool:
        """``item in container``"""
        shared = self._shared.known(container)
        if shared is not None:
            self._look_for(item, container, shared)
        elif self.views:
            self._look_at_view(container, COPY)
        return item in container

    @guarded
    def _look_for(self, item: Any, container: Any, shared: Shared) -> None:
        if is_a(container, (*MAPPINGS, set)):
            self._recorder.record_item(shared, item, READ)
        elif not self._documented.use(container, shared, "__contains__"):
            self._recorder.record_structure(shared, COPY)

    def whole(self, value: Any) -> Any:
        """``value`` where all of it is taken at once: unpacked, or made a text."""
        shared = self._shared.known(value)
        if shared is not None:
            self._record_look(value, shared)
        elif self.views:
            self._look_at_view(value, COPY)
        return value

    @guarded
    def _record_look(self, value: Any, shared: Shared) -> bool:
        """All of a shared object is used. Returns whether it is a container."""
        if is_array(value):
            self._recorder.record_array(shared, READ, value)
        elif is_a(value, CONTAINERS):
            self._recorder.record_structure(shared, COPY)
        else:
            return False
        return True

    def _look_at_view(self, view: Any, mode: str) -> None:
        found = self.views.get(id(view))
        if found is not None:
            self._recorder.record_structure(found[1], mode)

    @guarded
    def look_deeply(self, value: Any, mode: str, stack: Any = None, depth: int = 4) -> None:
        """Whatever is shared of ``value`` and what it contains is looked at, in every part."""
        shared = self._shared.known(value)
        if shared is not None:
            if is_a(value, CONTAINERS) or is_array(value):
                self._recorder.record_structure(shared, mode, stack)
            else:
                self._recorder.record_whole(shared, WALK, stack)
        if depth == 0:
            return
        inside: Any = ()
        if is_a(value, dict):
            inside = dict.values(value)
        elif is_a(value, list | tuple | collections.deque):
            inside = value
        elif shared is not None and not is_a(value, CONTAINERS):
            inside = namespace(value).values()
        for part in list(itertools.islice(iter(inside), _MAX_PARTS)):
            if is_a(part, NESTED) or self._shared.get(part) is not None:
                self.look_deeply(part, mode, stack, depth - 1)

    def test(self, value: Any) -> Any:
        """``value`` where its truth is asked for."""
        shared = self._shared.get(value)
        if shared is not None and is_a(value, CONTAINERS):
            self._recorder.record_structure(shared, PEEK)
        return value

    def operand(self, value: Any) -> Any:
        """``value`` as a part of an expression."""
        shared = self._shared.known(value)
        if shared is not None:
            if not self._record_look(value, shared):
                self._documented.read(value, shared)
        elif self.views:
            self._look_at_view(value, COPY)
        return value

    def compared(self, value: Any) -> Any:
        """``value`` as a part of a comparison."""
        shared = self._shared.known(value)
        if shared is not None and compares_fields(type(value)):
            self._recorder.record_whole(shared, WALK)
        return self.operand(value)

    def matched(self, value: Any) -> Any:
        """``value`` as the subject of a ``match`` with patterns that take it apart."""
        shared = self._shared.known(value)
        if shared is None or is_a(value, CONTAINERS) or is_array(value):
            return self.whole(value)
        self._recorder.record_whole(shared, WALK)
        return value

    def in_place(self, name: str, old: Any, value: Any) -> Any:
        """``old += value`` and the like, for a variable: a container changes in place."""
        self.before_in_place(old)
        return getattr(operator, name)(old, value)

    @guarded
    def before_in_place(self, value: Any) -> None:
        """``value`` is about to be changed by an operator."""
        shared = self._shared.known(value)
        if shared is None:
            return
        if is_array(value):
            self._recorder.record_array(shared, READ, value)
            self._recorder.record_array(shared, WRITE, value)
        elif is_a(value, CONTAINERS):
            self._recorder.record_structure(shared, GROW)
        elif self._rules.has_effects(type(value)):
            self._documented.write(value, shared)

    @guarded
    def returned(self, result: Any, function: Any, name: str) -> None:
        """A call of ``function``, known as ``name``, returns: what is read when its locks are free."""
        if is_a(result, NESTED) or self._shared.known(result) is not None:
            try:
                self.look_deeply(result, ITERATE, (place_of(function, name),))
            except RuntimeError:
                pass  # it changes just now, which others tell of

    # -- loops ------------------------------------------------------------------------------

    def add_view(self, view: Any, shared: Shared) -> None:
        """``view`` shows a shared dict, as ``dict.items()`` does."""
        if len(self.views) > _MAX_VIEWS:
            # those that nobody has any more keep their dicts alive
            for key, found in list(self.views.items()):
                if sys.getrefcount(found[0]) <= _OWN_REFERENCES:
                    self.views.pop(key, None)
            if len(self.views) > 10 * _MAX_VIEWS:
                self.views.clear()
        self.views[id(view)] = view, shared

    def iterate(self, iterable: Any) -> Any:
        """``iterable`` where a loop walks through it."""
        shared = self._shared.known(iterable)
        if shared is None:
            view = self.views.get(id(iterable))
            return iterable if view is None else self._walk(iterable, view[1])
        if is_a(iterable, types.GeneratorType):
            return self._advance(iterable, shared)
        if is_a(iterable, CONTAINERS) or is_array(iterable):
            return self._walk(iterable, shared)
        self.advanced(iterable, shared)
        self._documented.use(iterable, shared, "__iter__")
        return iterable

    def delegate(self, iterable: Any) -> Any:
        """``iterable`` where ``yield from`` walks through it: a generator gets what is sent or thrown."""
        shared = self._shared.known(iterable)
        if shared is not None and is_a(iterable, types.GeneratorType):
            self._recorder.record(shared, "its progress", WRITE, shared.name)
            return iterable
        return self.iterate(iterable)

    @guarded
    def advanced(self, iterator: Any, shared: Shared) -> None:
        """An iterator goes on to what comes next."""
        modes = stateful(type(iterator))
        if modes is not None and modes.get("__next__", modes[""]) == WRITE:
            self._recorder.record(shared, "its state", WRITE, shared.name)
        elif is_a(iterator, types.GeneratorType):
            self._recorder.record(shared, "its progress", WRITE, shared.name)

    def _walk(self, iterable: Any, shared: Shared) -> Iterator[Any]:
        self._recorder.record_structure(shared, ITERATE)
        for value in iterable:
            self._shared.share(value, f"{shared.name}[…]")
            if is_a(value, tuple):
                for part in value:
                    self._shared.share(part, f"{shared.name}[…]")
            yield value

    def _advance(self, generator: Any, shared: Shared) -> Iterator[Any]:
        while True:
            self._recorder.record(shared, "its progress", WRITE, shared.name)
            try:
                value = next(generator)
            except StopIteration:
                return
            yield value


def _found(container: Any, key: Any) -> Any:
    """``container[key]`` of a plain dict, without code of the program; of others it is not known."""
    return dict.get(container, key) if is_a(container, dict) else UNSEEN

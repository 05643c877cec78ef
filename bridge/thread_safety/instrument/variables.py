"""What rewritten code does with variables that have a name: attributes, globals, closures."""

from __future__ import annotations

import sys
import types
from typing import Any

from ..detector import DELETED, READ, WRITE, Written
from ..libraries import Rules
from .attributes import in_mro, is_plain, value_of
from .builtins import is_a, namespace
from .containers import Containers
from .documented import DocumentedObjects
from .faults import guarded
from .known_objects import Shared
from .places import Attribute
from .recorder import Recorder
from .shared_objects import SharedObjects
from .thread_locals import ThreadLocals, is_local
from .values import UNSEEN, describe_write

#: What the look is at: an object of which it is known which uses write.
_DOCUMENTED = object()


class Variables:
    """The operations on variables that have a name. For any thread.

    Args:
        shared: which objects threads share.
        recorder: is told what is done to their variables.
        containers: is told of values that an operator changes in place.
        thread_locals: is told of what belongs to one thread.
        rules: what is documented about objects of libraries.
        documented: is told of what is done to those.
    """

    def __init__(
        self,
        shared: SharedObjects,
        recorder: Recorder,
        containers: Containers,
        thread_locals: ThreadLocals,
        rules: Rules,
        documented: DocumentedObjects,
    ) -> None:
        self.faults = recorder.faults
        self._rules = rules
        self._documented = documented
        self._shared = shared
        self._recorder = recorder
        self._locals = thread_locals
        self.containers = containers
        #: By type and name: whether the attribute is one that each object has for itself.
        self._plain: dict[type, dict[str, bool]] = {}
        #: Of globals and variables of functions: None, or that it was something else.
        self._last: dict[tuple[str, str], Any] = {}

    # -- attributes -------------------------------------------------------------------------

    def get(self, object: Any, name: str, augmented: bool = False) -> Any:
        """``object.name``; ``augmented``: it is changed by the same statement."""
        shared = self._shared.get(object)
        if shared is None:
            return getattr(object, name)
        told = self._before_get(object, name, shared, augmented)
        value = getattr(object, name)
        if name == "__dict__":
            self.share_namespace(value, shared)
        elif told is _DOCUMENTED:
            self._got_documented(object, name, shared, value)
        elif told:
            self._shared.share(value, f"{shared.name}.{name}")
        return value

    @guarded
    def _before_get(self, object: Any, name: str, shared: Shared, augmented: bool) -> Any:
        """Tell of a look at an attribute. Returns whether others may know its value."""
        if is_local(object):
            self._locals.read(shared, name)
            return False
        if self._rules.has_effects(type(object)):
            return _DOCUMENTED
        holder, data = self._holder(object, name, shared)
        if data:
            self._recorder.record(
                holder, name, READ, f"{holder.name}.{name}", augmented=augmented, plain=True
            )
        return data

    @guarded
    def _got_documented(self, object: Any, name: str, shared: Shared, value: Any) -> None:
        if not callable(value):
            self._documented.use(object, shared, name)
            self._shared.share(value, f"{shared.name}.{name}")

    @guarded
    def looked_for(self, object: Any, name: str) -> None:
        """``hasattr(object, name)``"""
        shared = self._shared.get(object)
        if shared is not None and is_local(object):
            self._locals.looked_for(shared, name)

    def _holder(self, object: Any, name: str, shared: Shared) -> tuple[Shared, bool]:
        """Whose variable the attribute is, the object's or its class's, and whether it is data."""
        if is_a(object, type):
            return self._class_holder(object, name, shared)
        kind = type(object)
        names = self._plain.get(kind)
        if names is None:
            names = self._plain[kind] = {}
        plain = names.get(name)
        if plain is None:
            plain = names[name] = is_plain(kind, name)
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

    def attribute(self, object: Any, name: str) -> Attribute:
        """``object.name`` where it is written."""
        return Attribute(self, object, name)

    @guarded
    def after_write(self, object: Any, name: str, written: Written | None = None) -> None:
        """``object.name`` was written or deleted; ``written``: what ``before_write`` has returned."""
        shared = self._shared.get(object)
        if shared is None:
            rule = self._rules.for_attribute_change(object, name)
            if rule is not None:
                self._recorder.record_use(rule)
            return
        if is_local(object):
            self._locals.written(shared, name)
            return
        if self._rules.has_effects(type(object)):
            self._documented.write(object, shared)
            return
        found = None if is_a(object, type) else in_mro(type(object), name)
        if found is not None and is_a(found[1], property):
            return  # its own code tells
        self._recorder.record(
            shared, name, WRITE, f"{shared.name}.{name}", written=written, plain=True
        )
        if shared.seen_whole:
            self._recorder.record_overwriting(shared)

    @guarded
    def after_delete(self, object: Any, name: str) -> None:
        """``object.name`` was deleted."""
        shared = self._shared.get(object)
        if shared is not None and is_local(object):
            self._locals.deleted(shared, name)
        else:
            self.after_write(object, name, DELETED)

    @guarded
    def before_write(self, object: Any, name: str, value: Any) -> Written | None:
        """An attribute is about to be written: others will find the value, and not the old one.

        ``batch, self.pending = self.pending, []``: whoever swaps a container for a new one may
        work on the old one alone. If others know it still, they are seen when they use it.

        Returns:
            What becomes of the variable; None: nobody else knows the object.
        """
        shared = self._shared.get(object)
        if shared is None or is_local(object):
            return None
        self._shared.publish(value, f"{shared.name}.{name}")
        before = value_of(object, name)
        old = self._shared.get(before)
        if old is not None and old.name == f"{shared.name}.{name}":
            self._recorder.take_back(old)
        return describe_write(before, value, self._shared)

    def share_namespace(self, namespace: Any, shared: Shared) -> None:
        """``namespace`` is the ``__dict__`` of a shared object."""
        entry = Shared(namespace, f"{shared.name}.__dict__", None, True)
        entry.namespace_of = shared
        self._shared.add(namespace, entry)

    # -- globals and closures ---------------------------------------------------------------

    def read_global(self, module: str, name: str, value: Any, augmented: bool = False) -> Any:
        """A global variable to which some function assigns."""
        self._last[module, name] = value if value is None else UNSEEN
        self._record_global(module, name, READ, augmented)
        self._shared.share(value, f"{module}.{name}")
        return value

    def wrote_global(self, module: str, name: str, value: Any) -> None:
        """The same, where it was assigned."""
        self._record_global(module, name, WRITE, written=self._written(module, name, value))

    @guarded
    def _record_global(
        self,
        module: str,
        name: str,
        mode: str,
        augmented: bool = False,
        written: Written | None = None,
    ) -> None:
        namespace = sys.modules[module].__dict__ if module in sys.modules else None
        self._record_name(namespace, module, name, mode, augmented, written)

    @guarded
    def _written(self, where: str, name: str, value: Any) -> Written:
        """What a value does to a variable of which it is only known whether it was None."""
        before = self._last.get((where, name), UNSEEN)
        self._last[where, name] = value if value is None else UNSEEN
        return describe_write(before, value, self._shared)

    def read_cell(
        self, closure: types.FunctionType, name: str, value: Any, augmented: bool = False
    ) -> Any:
        """A variable of a function that an inner function assigns to."""
        where = _function_of(closure)
        self._last[where, name] = value if value is None else UNSEEN
        self._record_name(_cell_of(closure, name), where, name, READ, augmented)
        self._shared.share(value, f"{_function_of(closure)}.{name}")
        return value

    def wrote_cell(self, closure: types.FunctionType, name: str, value: Any) -> None:
        """The same, where it was assigned."""
        where = _function_of(closure)
        written = self._written(where, name, value)
        self._record_name(_cell_of(closure, name), where, name, WRITE, written=written)

    @guarded
    def _record_name(
        self,
        holder: Any,
        where: str,
        name: str,
        mode: str,
        augmented: bool = False,
        written: Written | None = None,
    ) -> None:
        if holder is None:
            return
        shared = self._shared.get(holder)
        if shared is None:
            escaped = is_a(holder, dict)
            shared = Shared(holder, where, None if escaped else self._recorder.thread, escaped)
            self._shared.add(holder, shared)
        self._recorder.record(
            shared,
            name,
            mode,
            f"{where}.{name}",
            augmented=augmented,
            written=written,
            plain=True,
        )

    def captured(self, function: Any) -> Any:
        """A function within a function: whoever gets it knows the variables that it uses."""
        self._publish_captured(function)
        return function

    @guarded
    def _publish_captured(self, function: Any) -> None:
        inner = getattr(function, "__wrapped__", function)
        code = getattr(inner, "__code__", None)
        for name, cell in zip(
            getattr(code, "co_freevars", ()),
            getattr(inner, "__closure__", None) or (),
            strict=False,
        ):
            try:
                self._shared.publish(cell.cell_contents, name)
            except ValueError:
                pass  # assigned later

    def free(self, name: str, value: Any) -> Any:
        """A variable of the function around."""
        self._shared.share(value, name)
        return value


def _cell_of(closure: types.FunctionType, name: str) -> Any:
    if closure.__closure__ is None:
        return None
    return closure.__closure__[closure.__code__.co_freevars.index(name)]


def _function_of(closure: types.FunctionType) -> str:
    return closure.__qualname__.replace(".<locals>", "").rpartition(".")[0]

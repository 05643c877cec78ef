"""What rewritten code does with variables that have a name: attributes, globals, closures."""

from __future__ import annotations

import sys
import types
from typing import Any

from ..detector import DELETED, READ, WRITE, Written
from ..libraries import Rules
from .builtins import is_a, namespace
from .containers import Containers
from .documented import DocumentedObjects
from .known_objects import Shared
from .recorder import Recorder
from .shared_objects import SharedObjects
from .thread_locals import ThreadLocals, is_local
from .values import UNSEEN, describe_write


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
        if is_local(object):
            self._locals.read(shared, name)
            return getattr(object, name)
        if self._rules.has_effects(type(object)):
            return self._get_documented(object, name, shared)
        holder, data = self._holder(object, name, shared)
        if data:
            self._recorder.record(
                holder, name, READ, f"{holder.name}.{name}", augmented=augmented, plain=True
            )
        value = getattr(object, name)
        if name == "__dict__":
            self.share_namespace(value, shared)
        elif data:
            self._shared.share(value, f"{shared.name}.{name}")
        return value

    def _get_documented(self, object: Any, name: str, shared: Shared) -> Any:
        value = getattr(object, name)
        if not callable(value):
            self._documented.use(object, shared, name)
            self._shared.share(value, f"{shared.name}.{name}")
        return value

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
            plain = names[name] = _is_plain(kind, name)
        if plain:
            return shared, True
        if name in namespace(object):
            return shared, not is_a(_in_mro(kind, name)[1], property)  # type: ignore[index]
        return self._class_holder(kind, name, shared)

    def _class_holder(self, kind: type, name: str, shared: Shared) -> tuple[Shared, bool]:
        found = _in_mro(kind, name)
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

    def after_write(self, object: Any, name: str, written: Written | None = None) -> None:
        """``object.name`` was written or deleted; ``written``: what ``before_write`` has returned."""
        shared = self._shared.get(object)
        if shared is None:
            return
        if is_local(object):
            self._locals.written(shared, name)
            return
        if self._rules.has_effects(type(object)):
            self._documented.write(object, shared)
            return
        found = None if is_a(object, type) else _in_mro(type(object), name)
        if found is not None and is_a(found[1], property):
            return  # its own code tells
        self._recorder.record(
            shared, name, WRITE, f"{shared.name}.{name}", written=written, plain=True
        )
        if shared.seen_whole:
            self._recorder.record_overwriting(shared)

    def after_delete(self, object: Any, name: str) -> None:
        """``object.name`` was deleted."""
        shared = self._shared.get(object)
        if shared is not None and is_local(object):
            self._locals.deleted(shared, name)
        else:
            self.after_write(object, name, DELETED)

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
        before = _value_of(object, name)
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
        return function

    def free(self, name: str, value: Any) -> Any:
        """A variable of the function around."""
        self._shared.share(value, name)
        return value


class _Attribute:
    """``object.name`` as the target of an assignment: read, written and deleted as ``value``."""

    __slots__ = ("_name", "_object", "_operations")

    def __init__(self, operations: Variables, object: Any, name: str) -> None:
        self._operations, self._object, self._name = operations, object, name

    @property
    def value(self) -> Any:
        return self._operations.get(self._object, self._name)

    @value.setter
    def value(self, value: Any) -> None:
        written = self._operations.before_write(self._object, self._name, value)
        setattr(self._object, self._name, value)
        self._operations.after_write(self._object, self._name, written)

    @value.deleter
    def value(self) -> None:
        delattr(self._object, self._name)
        self._operations.after_delete(self._object, self._name)

    @property
    def in_place(self) -> Any:
        value = self._operations.get(self._object, self._name, True)
        self._operations.containers.before_in_place(value)
        return value

    @in_place.setter
    def in_place(self, value: Any) -> None:
        self.value = value


def _value_of(value: Any, name: str) -> Any:
    """The value of an attribute, without running code of the program; None if it has none."""
    if is_a(value, type):
        return value.__dict__.get(name)
    values = namespace(value)
    if name in values:
        return values[name]
    found = _in_mro(type(value), name)
    if found is None:
        return None
    if is_a(found[1], types.MemberDescriptorType):
        try:
            return found[1].__get__(value)
        except AttributeError:
            return None
    return found[1]


def _in_mro(kind: type, name: str) -> tuple[type, Any] | None:
    """The class that a type has an attribute from, and what the class has there."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base, base.__dict__[name]
    return None


def _is_plain(kind: type, name: str) -> bool:
    """Whether an attribute of objects of a type is one that each has for itself, and data."""
    if name.startswith("__") and name.endswith("__"):
        return False
    found = _in_mro(kind, name)
    return found is None or is_a(found[1], types.MemberDescriptorType | types.GetSetDescriptorType)


def _cell_of(closure: types.FunctionType, name: str) -> Any:
    if closure.__closure__ is None:
        return None
    return closure.__closure__[closure.__code__.co_freevars.index(name)]


def _function_of(closure: types.FunctionType) -> str:
    return closure.__qualname__.replace(".<locals>", "").rpartition(".")[0]

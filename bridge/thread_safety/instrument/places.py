"""What rewritten code assigns to in the place of ``object.name`` and ``container[key]``."""

from __future__ import annotations

from typing import Any

from .builtins import is_array


class Attribute:
    """``object.name`` as the target of an assignment: read, written and deleted as ``value``."""

    __slots__ = ("_name", "_object", "_operations")

    def __init__(self, operations: Any, object: Any, name: str) -> None:
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


class Item:
    """``container[key]`` as the target of an assignment."""

    __slots__ = ("_container", "_key", "_operations")

    def __init__(self, operations: Any, container: Any, key: Any) -> None:
        self._operations, self._container, self._key = operations, container, key

    @property
    def value(self) -> Any:
        return self._operations.item(self._container, self._key)

    @value.setter
    def value(self, value: Any) -> None:
        self._operations.before_change(self._container, self._key, value, deletes=False)
        self._operations.keep(self._container, value, self._key)
        self._container[self._key] = value

    @value.deleter
    def value(self) -> None:
        self._operations.before_change(self._container, self._key, None, deletes=True)
        del self._container[self._key]

    @property
    def in_place(self) -> Any:
        value = self._operations.item(self._container, self._key, True)
        if not is_array(self._container):  # of an array it is a view, which is assigned next
            self._operations.before_in_place(value)
        return value

    @in_place.setter
    def in_place(self, value: Any) -> None:
        self.value = value

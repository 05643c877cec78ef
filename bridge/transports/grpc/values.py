"""``google.protobuf.Value``, protobuf's message for JSON, to Python values and back."""

from __future__ import annotations

from typing import Any

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

from ...wire import MAX_ITEMS, Forms, too_many_items
from ...wire.json_values import to_plain


def from_value(value: Value, max_items: int = MAX_ITEMS) -> Any:
    """The Python value. Numbers without a fraction become ``int``: JSON has but one kind.

    Args:
        value: the message.
        max_items: so many lists and maps may be in it; default: 2 Mi.

    Raises:
        RemoteProtocolError: there are more.
    """
    return _read(value, [max_items], max_items)


def to_value(value: Any, name: str, forms: Forms | None = None) -> Value:
    """The message of a value.

    Args:
        value: whatever JSON can say, or what has a form there (see ``wire/json_values.py``).
        name: what an error calls the value: its path begins so.
        forms: what other values become; default: what is theirs.

    Raises:
        EncodeError: a part of it has no form; the message has its path.
    """
    message = Value()
    _fill(message, to_plain(value, name, forms or Forms()))
    return message


def to_struct(fields: dict[str, Any], name: str) -> Struct:
    """The message of a map. As ``to_value``."""
    return to_value(fields, name).struct_value


def _read(value: Value, left: list[int], max_items: int) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "null_value" or kind is None:
        return None
    if kind != "struct_value" and kind != "list_value":
        return getattr(value, kind)
    left[0] -= 1
    if left[0] < 0:
        raise too_many_items(max_items)
    if kind == "list_value":
        return [_read(item, left, max_items) for item in value.list_value.values]
    fields = value.struct_value.fields
    return {key: _read(item, left, max_items) for key, item in fields.items()}


def _fill(message: Value, plain: Any) -> None:
    # in place: a message that is put into another one is copied
    if plain is None:
        message.null_value = NULL_VALUE
    elif isinstance(plain, bool):
        message.bool_value = plain
    elif isinstance(plain, str):
        message.string_value = plain
    elif isinstance(plain, int | float):
        message.number_value = plain
    elif isinstance(plain, list):
        message.list_value.SetInParent()
        for item in plain:
            _fill(message.list_value.values.add(), item)
    else:
        message.struct_value.SetInParent()
        for key, item in plain.items():
            _fill(message.struct_value.fields[key], item)

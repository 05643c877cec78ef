"""JSON Schema of a tool's parameters and of its result, by the annotations: draft 2020-12.

It is made when somebody asks for it. What an annotation does not say, or says in a way that cannot
be read, is left open: ``{}`` allows anything. JSON lacks some of what the wire has; that is told by
``format``: ``binary`` (bytes), ``date-time``, ``seconds`` (``timedelta``), ``decimal``, ``tensor``.
"""

from __future__ import annotations

import enum
import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Annotated, Any, Literal
from uuid import UUID

from .forms import (
    MAPPINGS,
    SEQUENCES,
    bare,
    fields_of,
    is_array,
    is_named_tuple,
    is_struct,
    is_typed_dict,
    is_union,
    of_pydantic,
    origin_of,
)
from .resolve import Annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..signature import Signature

_SIMPLE: dict[Any, dict[str, Any]] = {
    Any: {},
    object: {},
    None: {"type": "null"},
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    complex: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "format": "binary"},
    bytearray: {"type": "string", "format": "binary"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string", "format": "time"},
    timedelta: {"type": "number", "format": "seconds"},
    Decimal: {"type": ["string", "number"], "format": "decimal"},
    UUID: {"type": "string", "format": "uuid"},
}
#: What is said about a type with ``Annotated``, by msgspec and by annotated_types.
_CONSTRAINTS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "title": "title",
    "description": "description",
}


def tool_schemas(
    function: Callable[..., Any], signature: Signature
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a tool takes by name, and what it returns or yields, as JSON Schemas. Never raises.

    Args:
        function: Whose annotations these are.
        signature: Its parameters.
    """
    annotations = Annotations(function)
    definitions = _Definitions()
    properties, required = {}, []
    more: Any = False
    for parameter in signature.parameters:
        schema = definitions.of(annotations, parameter.name)
        if parameter.kind == "named_rest":
            more = schema
        elif parameter.kind != "rest":
            if parameter.required:
                required.append(parameter.name)
            elif type(parameter.default) in (bool, int, float, str):
                schema = {**schema, "default": parameter.describe()["default"]}
            properties[parameter.name] = schema
    takes: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    takes["additionalProperties"] = more
    returned = _Definitions()
    return definitions.around(takes), returned.around(returned.of(annotations, "return"))


class _Definitions:
    """Classes that are met on the way, each once: ``$defs``."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._names: dict[Any, str] = {}

    def of(self, annotations: Annotations, name: str) -> dict[str, Any]:
        try:
            return self._schema(annotations.resolve(name))
        except Exception:
            return {}  # it cannot be read, or says what no schema can

    def around(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {**schema, "$defs": self._made} if self._made else schema

    def _schema(self, annotation: Any) -> dict[str, Any]:
        if of_pydantic(annotation):
            return self._by_pydantic(annotation)
        if typing.get_origin(annotation) is Annotated:
            return {**self._schema(annotation.__origin__), **_said(annotation.__metadata__)}
        annotation = bare(annotation)
        if is_union(annotation):
            return {"anyOf": [self._schema(part) for part in typing.get_args(annotation)]}
        if typing.get_origin(annotation) is Literal:
            return {"enum": [_value(value) for value in typing.get_args(annotation)]}
        if is_array(annotation):
            return _array(annotation)
        if typing.get_origin(annotation) is None and annotation in _SIMPLE:
            return dict(_SIMPLE[annotation])
        origin, inner = origin_of(annotation), typing.get_args(annotation)
        if origin is tuple and inner and inner[-1] is not ...:
            return _fixed([self._schema(item) for item in inner], len(inner))
        if origin in SEQUENCES or origin is tuple or _yields(origin):
            schema: dict[str, Any] = {"type": "array"}
            if inner:
                schema["items"] = self._schema(inner[0])
            if isinstance(origin, type) and issubclass(origin, set | frozenset):
                schema["uniqueItems"] = True
            return schema
        if origin in MAPPINGS:
            more = {"additionalProperties": self._schema(inner[1])} if len(inner) == 2 else {}
            return {"type": "object", **more}
        if not isinstance(origin, type):
            return {}
        if issubclass(origin, enum.Flag):
            return {"type": "integer"}
        if issubclass(origin, enum.Enum):
            return {"title": origin.__name__, "enum": [_value(member) for member in origin]}
        if issubclass(origin, PurePath):
            return {"type": "string", "format": "path"}
        for base in (bool, int, float, str, bytes):
            if issubclass(origin, base):
                return dict(_SIMPLE[base])
        if is_struct(origin):
            return self._by_msgspec(annotation)
        fields = fields_of(annotation)
        return {} if fields is None else self._record(annotation, origin, fields)

    def _record(self, annotation: Any, kind: type, fields: dict[str, Any]) -> dict[str, Any]:
        if annotation in self._names:
            return {"$ref": f"#/$defs/{self._names[annotation]}"}
        name = kind.__name__
        while name in self._made:
            name += "_"
        self._names[annotation] = name
        self._made[name] = {}  # it may contain itself
        if is_named_tuple(kind):
            defaults = getattr(kind, "_field_defaults", {})
            items = [self._schema(field) for field in fields.values()]
            made = _fixed(items, len(fields) - len(defaults))
        else:
            made = {
                "type": "object",
                "properties": {key: self._schema(field) for key, field in fields.items()},
                "required": [key for key in fields if key in _required(kind, fields)],
            }
        self._made[name] = {"title": kind.__name__, **made}
        return {"$ref": f"#/$defs/{name}"}

    def _by_pydantic(self, annotation: Any) -> dict[str, Any]:
        from pydantic import TypeAdapter

        return self._adopt(TypeAdapter(annotation).json_schema())

    def _by_msgspec(self, annotation: Any) -> dict[str, Any]:
        import msgspec

        return self._adopt(msgspec.json.schema(annotation))

    def _adopt(self, schema: dict[str, Any]) -> dict[str, Any]:
        for name, made in schema.pop("$defs", {}).items():
            self._made.setdefault(name, _with_bytes(made))
        found: dict[str, Any] = _with_bytes(schema)
        return found


def _with_bytes(schema: Any) -> Any:
    """msgspec means base64 where it says bytes; here they are themselves."""
    if isinstance(schema, list):
        return [_with_bytes(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _with_bytes(part) for name, part in schema.items()}
    if made.get("contentEncoding") == "base64":
        del made["contentEncoding"]
        made["format"] = "binary"
    return made


def _yields(origin: Any) -> bool:
    name = getattr(origin, "__name__", "")
    module = getattr(origin, "__module__", "")
    return module == "collections.abc" and name.rpartition("Async")[2] in (
        *("Iterator", "Generator", "Iterable"),
    )


def _fixed(items: list[dict[str, Any]], least: int) -> dict[str, Any]:
    """A list of so many items, each of its own kind."""
    return {"type": "array", "prefixItems": items, "minItems": least, "maxItems": len(items)}


def _array(annotation: Any) -> dict[str, Any]:
    from .arrays import element_type

    element = element_type(annotation)
    more = {} if element is None else {"description": f"an array of {element.__name__}"}
    return {"type": "array", "format": "tensor", **more}


def _required(kind: type, fields: dict[str, Any]) -> set[str]:
    """The names of the fields that have no default."""
    if is_typed_dict(kind):
        return set(kind.__required_keys__)  # type: ignore[attr-defined]
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return {field.alias for field in attributes if type(field.default).__name__ == "_Nothing"}
    import dataclasses

    missing = dataclasses.MISSING
    return {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is missing and field.default_factory is missing and field.init
    }


def _said(metadata: tuple[Any, ...]) -> dict[str, Any]:
    """What is said of a type that a schema can say."""
    schema = {}
    for said in metadata:
        for name, word in _CONSTRAINTS.items():
            value = getattr(said, name, None)
            if type(value) in (int, float, str):
                schema[word] = value
        for name in ("min_length", "max_length"):
            value = getattr(said, name, None)
            if type(value) is int:
                schema[name.replace("_length", "Length")] = value
    return schema


def _value(value: Any) -> Any:
    value = value.value if isinstance(value, enum.Enum) else value
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)

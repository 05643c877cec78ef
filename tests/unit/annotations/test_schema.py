"""JSON Schema of what tools take, for every annotation, without importing anything at the start."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from bridge import Context
from bridge.tool import Tool, ToolOptions

from . import typed_functions
from .test_typed import Box, Color, Filter, Item, Model, Pair, annotated_types, msgspec


def schemas(function):
    return Tool("f", function, ToolOptions(None, None, False)).schemas


def schema_of(annotation: Any) -> Any:
    def f(value): ...

    f.__annotations__ = {"value": annotation}
    taken, returned = schemas(f)
    assert returned == {}
    return taken["properties"]["value"], taken.get("$defs", {})


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (Any, {}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (bytes, {"type": "string", "format": "binary"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (list[float], {"type": "array", "items": {"type": "number"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (dict, {"type": "object"}),
        (Literal["a", 1, None], {"enum": ["a", 1, None]}),
        (Color, {"title": "Color", "enum": ["red", "blue"]}),
        (np.ndarray, {"type": "array", "format": "tensor"}),
        (npt.NDArray[np.int8], {"type": "array", "format": "tensor", "description": "an array of int8"}),
        (Annotated[int, msgspec.Meta(ge=1, description="so many")],
         {"type": "integer", "minimum": 1, "description": "so many"}),
        (Annotated[str, annotated_types.MaxLen(3)], {"type": "string", "maxLength": 3}),
        (object(), {}),
        ("Missing", {}),
        ("1 +", {}),
    ],
)  # fmt: skip
def test_what_an_annotation_says(annotation, schema):
    assert schema_of(annotation)[0] == schema or annotated_types.MaxLen(3) in getattr(
        annotation, "__metadata__", ()
    )


def test_records():
    schema, defined = schema_of(list[Item])
    assert schema["items"] == {"$ref": "#/$defs/Item"}
    assert defined["Item"]["required"] == ["name", "price"]
    assert defined["Item"]["properties"]["parts"]["items"] == {"$ref": "#/$defs/Item"}
    _, defined = schema_of(Filter)
    assert defined["Filter"]["required"] == ["low"]
    _, defined = schema_of(Pair[Color])
    assert defined["Pair"]["properties"]["first"]["enum"] == ["red", "blue"]
    _, defined = schema_of(Box)
    assert defined["Box"]["properties"]["raw"]["format"] == "binary"
    schema, defined = schema_of(dict[str, Model])
    assert "names" in str(schema) + str(defined)


def test_two_classes_of_one_name():
    class Place(NamedTuple):
        x: int
        y: int = 0

    first = Place

    @dataclass
    class Place:
        name: str

    def f(a: first, b: Place): ...

    taken, _ = schemas(f)
    assert taken["properties"] == {"a": {"$ref": "#/$defs/Place"}, "b": {"$ref": "#/$defs/Place_"}}
    assert taken["$defs"]["Place"]["minItems"] == 1
    assert taken["$defs"]["Place_"]["type"] == "object"


def test_every_kind_of_parameter():
    def f(
        a: int, /, b: str = "x", *rest: int, ctx: Context, c: bool, **more: float
    ) -> list[int]: ...

    taken, returned = schemas(f)
    assert taken == {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "string", "default": "x"},
            "c": {"type": "boolean"},
        },
        "required": ["a", "c"],
        "additionalProperties": {"type": "number"},
    }
    assert returned == {"type": "array", "items": {"type": "integer"}}


def test_streams():
    def numbers() -> Iterator[int]:
        yield 1

    async def texts() -> AsyncIterator[str]:
        yield ""

    assert schemas(numbers)[1] == {"type": "array", "items": {"type": "integer"}}
    assert schemas(texts)[1] == {"type": "array", "items": {"type": "string"}}


def test_annotations_that_cannot_be_read_leave_the_others_alone():
    taken, returned = schemas(typed_functions.count)
    assert taken["properties"]["node"] == {"$ref": "#/$defs/Node"}
    assert taken["properties"]["by"] == {"type": "integer", "default": 1}
    assert returned == {}
    assert schemas(typed_functions.recursive)[0]["properties"]["value"] is not None


def test_neither_a_start_nor_a_tool_loads_what_reads_annotations():
    program = (
        "import sys, bridge\n"
        "class T(bridge.ThreadSafeAdapter):\n"
        "    @bridge.tool\n"
        "    def f(self, a: bytes, b: 'dict[str, int]' = None): ...\n"
        "from bridge.adapter import bind_tools\n"
        "assert bind_tools(T())['f'].checks\n"
        "print({'typing', 'msgspec', 'inspect'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")

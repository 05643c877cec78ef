"""One adapter in the way of Snakepit, and the calls by which its worker and this one are compared.

It needs nothing but Python, so that the worker of any version can serve it: what those answered is
recorded in ``tests/vectors/snakepit/``, and ``scripts/record-snakepit`` says how.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import uuid
from typing import Any

Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Record:
    name: str
    _hidden: int = 1


class Own:
    def __repr__(self) -> str:
        return "Own(password='hunter2', token: 'x')" + "y" * 3000


class Shown:
    def __str__(self) -> str:
        return "shown as text"


class Dumps:
    def model_dump(self) -> dict[str, Any]:
        return {"dumped": [1, Own()]}

    def to_dict(self) -> dict[str, Any]:
        raise AssertionError("model_dump comes first")


class ToDict:
    def model_dump(self) -> dict[str, Any]:
        raise ValueError("no model")

    def to_dict(self) -> dict[str, Any]:
        return {"as": "dict"}


class ToList:
    def __init__(self, size: int) -> None:
        self._size = size

    def tolist(self) -> list[int]:
        return list(range(self._size))


class Iso:
    def isoformat(self) -> str:
        return "the year 0"


class BadRepr:
    def __repr__(self) -> str:
        raise ValueError("no repr")


class Chunk:
    def __init__(self, data: Any, is_final: bool = False, metadata: Any = None) -> None:
        self.data = data
        self.is_final = is_final
        self.metadata = metadata


class PlainChunk:
    """As 0.6.0 and the showcase have it: without metadata."""

    def __init__(self, data: Any, is_final: bool = False) -> None:
        self.data = data
        self.is_final = is_final


def values() -> dict[str, Any]:
    """What the tool ``give`` can return, by name."""
    moment = datetime.datetime(2026, 1, 11, 10, 30, 0, 250)
    inside = {
        "own": Own(),
        "function": values,
        "class": Own,
        "exception": ValueError("x"),
        "bytes": b"\x00\xff",
        "bytearray": bytearray(b"ab"),
        "nan": float("nan"),
        "infinity": float("inf"),
        "minus infinity": float("-inf"),
        "namedtuple": Point(1, Own()),
        "namedtuple in a list": [Point(1, 2)],
        "model_dump": Dumps(),
        "to_dict": ToDict(),
        "tolist": ToList(3),
        "tolist at the limit": ToList(100),
        "tolist above the limit": ToList(101),
        "isoformat": Iso(),
        "datetime": moment,
        "aware datetime": moment.replace(tzinfo=datetime.UTC),
        "date": moment.date(),
        "uuid": uuid.UUID(int=1),
        "enum": Colour.RED,
        "dataclass": Record("n"),
        "bad repr": BadRepr(),
        "generator": (number for number in ()),
    }
    plain = {
        "text": "größer",
        "map": {"a": {"b": [1, 2.5, None, True]}},
        "list": [1, "two", None],
        "float": 2.5,
        "int": 7,
        "true": True,
        "none": None,
        "nan at the top": float("nan"),
        "infinity at the top": float("inf"),
        "minus infinity at the top": float("-inf"),
        "object at the top": Shown(),
        "exception at the top": ValueError("what happened"),
        "bytes at the top": b"\x00",
    }
    return {**plain, **{f"{name} inside": {"value": value} for name, value in inside.items()}}


def streams() -> dict[str, Any]:
    """What the tool ``stream`` can return, by name; made anew for each call."""
    return {
        "numbers": iter([1, 2]),
        "maps": iter([{"a": 1}, {"b": [1]}]),
        "text": iter(["a", '{"json": true}']),
        "bytes": iter([b"\x00\xff", b"{}"]),
        "none": iter([None, 1]),
        "chunks": iter([Chunk("a", metadata={"part": 1}), Chunk({"b": 2})]),
        "final chunk": iter([Chunk({"a": 1}), Chunk({"b": 2}, is_final=True, metadata={"n": 2})]),
        "only a final chunk": iter([PlainChunk([1], is_final=True)]),
        "empty": iter([]),
    }


class Contract:
    """As adapters for Snakepit are: one method for every tool."""

    __thread_safe__ = True

    def set_session_context(self, context: Any) -> None:
        self.session_context = context

    def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> Any:
        return getattr(self, tool_name)(context, **arguments)

    def give(self, context: Any, what: str) -> Any:
        return values()[what]

    def stream(self, context: Any, what: str) -> Any:
        return streams()[what]

    def count(self, context: Any, n: int) -> Any:
        yield from range(n)

    def fail(self, context: Any, message: str, **context_of_the_call: Any) -> None:
        raise KeyError(message)

    def fail_later(self, context: Any) -> Any:
        yield 1
        raise RuntimeError("later")

    def no_memory(self, context: Any) -> None:
        raise MemoryError("no room for it")

    def echo(self, context: Any, **arguments: Any) -> Any:
        return {
            name: f"bytes {value.hex()}" if isinstance(value, bytes) else value
            for name, value in arguments.items()
        }

    def metadata(self, context: Any) -> Any:
        return dict(context.request_metadata)

    def session(self, context: Any) -> Any:
        return context.session_id

    def elixir_tool(self, context: Any, name: str, **arguments: Any) -> Any:
        try:
            return ["returned", context.call_elixir_tool(name, **arguments)]
        except Exception as error:
            return ["raised", type(error).__name__, str(error)]


#: The calls that are compared: method, tool, arguments, and binary ones.
CALLS: list[tuple[str, str, dict[str, Any], dict[str, bytes]]] = [
    *(("ExecuteTool", "give", {"what": name}, {}) for name in values()),
    *(("ExecuteStreamingTool", "stream", {"what": name}, {}) for name in streams()),
    ("ExecuteStreamingTool", "count", {"n": 2}, {}),
    ("ExecuteStreamingTool", "fail_later", {}, {}),
    ("ExecuteTool", "count", {"n": 2}, {}),
    ("ExecuteTool", "fail", {"message": "no such key"}, {}),
    ("ExecuteTool", "fail", {"message": "m", "python_module": "math", "function": "sqrt"}, {}),
    ("ExecuteTool", "no_memory", {}, {}),
    ("ExecuteTool", "echo", {"a": 1, "b": [None, True, 2.5, {"c": "größer"}]}, {}),
    ("ExecuteTool", "echo", {}, {"image": b"\x00\x01"}),
    ("ExecuteTool", "metadata", {}, {}),
    ("ExecuteTool", "session", {}, {}),
    ("ExecuteTool", "elixir_tool", {"name": "shout", "text": "a"}, {}),
    ("ExecuteTool", "elixir_tool", {"name": "nothing"}, {}),
    ("ExecuteTool", "elixir_tool", {"name": "fails"}, {}),
]

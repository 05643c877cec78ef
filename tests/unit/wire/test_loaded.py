"""Modules that another thread is importing: they are there, and lack most of their names."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any

import pytest

from bridge.calls import tool_threads
from bridge.calls.failure_details import read_details
from bridge.conversions.arguments import _writable
from bridge.conversions.libraries import _is_table
from bridge.errors import EncodeError
from bridge.wire import Encoder
from bridge.wire.json_values import to_plain

MODULES = (
    *("numpy", "numpy.ma", "torch", "enum", "fractions", "sqlite3", "decimal", "uuid"),
    *("pandas", "polars", "pyarrow", "subprocess"),
)
VALUES: list[Any] = [
    date(2026, 1, 2),
    datetime(2026, 1, 2, tzinfo=UTC),
    {"a": [b"x" * 100_000]},
    b"x" * 100_000,
    range(3),
    {1},
    OSError(2, "no"),
]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("begun", [True, False], ids=["half imported", "forbidden"])
def test_values_of_other_types_travel_meanwhile(
    module: str, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy  # which _split asks for its elements

    array = numpy.zeros(3)
    expected = [outcome(value) for value in VALUES]
    tensor = Encoder().value(array)
    monkeypatch.setitem(sys.modules, module, ModuleType(module) if begun else None)
    assert [outcome(value) for value in VALUES] == expected
    if module == "numpy.ma":
        assert Encoder().value(array) == tensor
    assert _writable([1], 2) == [1]
    assert not _is_table(1)
    assert read_details(OSError(2, "no")) == {"errno": 2}
    tool_threads._split(tool_threads.Variables())


def outcome(value: Any) -> Any:
    try:
        return bytes(Encoder().result(1, value)), to_plain(value, "result")
    except EncodeError as error:
        assert isinstance(value, BaseException)
        return str(error)

"""The table of values: each row is what it says, on every way; and whatever the code knows has one."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest

from bridge.errors import EncodeError
from bridge.wire import plain, refusals, tables
from bridge.wire.codec import Encoder, decode_value
from bridge.wire.json_values import to_plain
from scripts.pages import values as page
from tests.equality import deep_equal
from tests.value_rows import ROWS, Row

SENT = [row for row in ROWS if row.wire != "refused"]
REFUSED = [row for row in ROWS if row.wire == "refused"]
EXTENSIONS = {0xFF: "timestamp", 1: "big integer", 2: "tensor", 3: "table"}


#: How the names begin that are asked for as text.
LIBRARIES = ("pandas.", "polars.", "pyarrow.", "Decimal", "UUID")


def example(row: Row) -> Any:
    try:
        return row.make()
    except ImportError as error:
        pytest.skip(f"no {error.name}")


def kind(data: bytes) -> str:
    """What the first byte of MessagePack says, and of an extension its type."""
    first = data[0]
    if first <= 0x7F or first >= 0xE0 or 0xCC <= first <= 0xD3:
        return "integer"
    if 0xC7 <= first <= 0xC9 or 0xD4 <= first <= 0xD8:
        return EXTENSIONS[data[{0xC7: 2, 0xC8: 3, 0xC9: 5}.get(first, 1)]]
    if first in (0xCA, 0xCB):
        return "float"
    if 0xA0 <= first <= 0xBF or 0xD9 <= first <= 0xDB:
        return "text"
    if 0xC4 <= first <= 0xC6:
        return "bytes"
    if 0x90 <= first <= 0x9F or first in (0xDC, 0xDD):
        return "array"
    return {0xC0: "nil", 0xC2: "boolean", 0xC3: "boolean"}.get(first, "map")


def check(row: Row, arrived: Any) -> None:
    if row.wire in ("tensor", "table"):
        assert row.arrives == arrived  # this way round: an array compares each of its elements
    else:
        assert deep_equal(arrived, row.arrives)


def names(rows: list[Row]) -> Any:
    return pytest.mark.parametrize("row", rows, ids=[row.type for row in rows])


@names(SENT)
def test_a_value_travels_as_its_row_says(row: Row) -> None:
    value = example(row)
    data = Encoder().value(value)
    assert kind(data) == row.wire
    check(row, decode_value(data))


@names(SENT)
def test_it_travels_within_others(row: Row) -> None:
    check(row, decode_value(Encoder().value({"a": (example(row),)}))["a"][0])


@names(SENT)
def test_it_has_the_form_in_json_that_its_row_says(row: Row) -> None:
    assert deep_equal(to_plain([example(row)], "result"), [row.json])


@names(REFUSED)
def test_what_is_refused_names_the_place_and_the_way_out(row: Row) -> None:
    value = {"scores": [0, example(row)]}
    with pytest.raises(EncodeError) as caught:
        Encoder().result(1, value)
    assert str(caught.value).startswith("result.scores[1] cannot be encoded: ")
    assert row.remedy in str(caught.value)
    with pytest.raises(EncodeError) as caught:
        to_plain(value, "result")
    assert row.remedy in str(caught.value)


def known_names() -> set[str]:
    """Under which names the code knows types: what it asks values for, and the tables in it."""
    found: set[str] = set()
    for function in (plain.one_step, plain._of_a_library, tables.table_form, refusals._remedy):
        for node in ast.walk(ast.parse(inspect.getsource(function))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == "isinstance":
                    found |= {
                        part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)
                    }
                    found |= {
                        p.attr for p in ast.walk(node.args[1]) if isinstance(p, ast.Attribute)
                    }
                elif node.func.id == "loaded_class":
                    found |= {n.value for n in node.args[1:] if isinstance(n, ast.Constant)}
                elif node.func.id in ("hasattr", "getattr"):
                    found |= {n.value for n in node.args if isinstance(n, ast.Constant) and n.value}
            elif isinstance(node, ast.Constant) and str(node.value).startswith(LIBRARIES):
                found.add(node.value)
    found |= {*plain._TEXT, *plain._BYTES}
    # where the classes are
    return found - {"loaded_class", "module", "name"}


def test_every_type_has_a_row() -> None:
    in_rows = {name for row in ROWS for name in row.names}
    for name in sorted(known_names()):
        assert name in in_rows, f"{name} is in no row of tests/value_rows.py: add a row"


def test_what_is_asked_for_is_found() -> None:
    assert {
        "Decimal",
        "Mapping",
        "Fraction",
        "Tensor",
        "__attrs_attrs__",
        "pandas.DataFrame",
        "AsyncIterator",
    } <= known_names()


def test_the_page_is_what_the_table_says() -> None:
    text = page.PAGE.read_text()
    assert page.write(text) == text, "run python -m scripts.pages.values"

"""protos/stdio.md: every example in it is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import CODES
from bridge.wire.codec import Encoder, decode_message, decode_value
from bridge.wire.framing import HEADER_BYTES, FrameDecoder, encode_header
from bridge.wire.messages import CallOptions, Notification, Request, Response
from bridge.wire.shared import Lent
from bridge.wire.tensors import DTYPES, MAX_RANK
from tests.equality import deep_equal
from tests.wire_vectors import literal

TEXT = (Path(__file__).parents[2] / "protos" / "stdio.md").read_text()


def examples(kind: str) -> list[Any]:
    """The lines of the blocks of this kind, each as its bytes and what they stand for."""
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    split = [re.fullmatch(r"((?:[0-9a-f]{2} +)+)(\S.*)", line) for line in lines]
    assert lines
    assert all(split), "a line is bytes and a literal"
    return [
        pytest.param(bytes.fromhex(match[1]), match[2], id=match[2]) for match in split if match
    ]


def message_of(fields: list[Any]) -> Any:
    """The message that an array in the page stands for."""
    kind, *rest = fields
    if kind == 0 and len(rest) == 4:
        *rest, options = rest
        return Request(*rest, CallOptions.from_wire(options))
    return {0: Request, 1: Response, 2: Notification}[kind](*rest)


@pytest.mark.parametrize(("data", "text"), examples("frames"))
def test_a_frame_is_what_it_says(data: bytes, text: str) -> None:
    header, payload = data[:HEADER_BYTES], data[HEADER_BYTES:]
    assert header == encode_header(len(payload))
    assert deep_equal(decode_message(payload), message_of(literal(text)))


@pytest.mark.parametrize(("data", "text"), examples("frames"))
def test_a_frame_is_cut_and_made_as_it_says(data: bytes, text: str) -> None:
    decoder = FrameDecoder(1000)
    decoder.get_buffer()[: len(data)] = data
    (payload,) = map(bytes, decoder.buffer_updated(len(data)))
    assert Encoder().value(literal(text)).hex(" ") == payload.hex(" ")


@pytest.mark.parametrize(("data", "text"), examples("values"))
def test_a_value_is_what_it_says(data: bytes, text: str) -> None:
    assert deep_equal(decode_value(data), literal(text))


@pytest.mark.parametrize(("data", "text"), examples("values"))
def test_a_value_is_made_as_it_says(data: bytes, text: str) -> None:
    assert Encoder().value(literal(text)).hex(" ") == data.hex(" ")


def test_a_message_with_a_place_is_what_it_says() -> None:
    (block,) = re.findall(r"^```lent\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    data = bytes.fromhex(block)
    assert data[:HEADER_BYTES] == encode_header(len(data) - HEADER_BYTES)
    lent = decode_message(data[HEADER_BYTES:])
    assert isinstance(lent, Lent)
    assert lent.place == (7, 65536, 2 << 20)
    assert (lent.message.msgid, lent.message.method) == (1, "echo")
    (shared,) = lent.message.params
    assert (shared.kind, shared.offset, shared.length, shared.head) == (0, 0, 2 << 20, b"")


def table(title: str) -> list[list[str]]:
    """The rows of the first table whose header begins with ``title``."""
    rows = TEXT.split(f"\n| {title} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_table_of_codes_is_complete() -> None:
    listed = [code for row in table("code") for code in re.findall(r"`(\w+)`", row[0])]
    assert sorted(listed) == sorted(CODES)


def test_the_table_of_options_is_what_is_read() -> None:
    listed = [row[0].strip("`") for row in table("option")]
    good = {
        "timeout_ms": 1, "session": "s", "metadata": {}, "stream": {"items": 1, "bytes": 1}, "within": 7,
    }  # fmt: skip
    assert listed == list(good)
    assert CallOptions.from_wire(good) == CallOptions(0.001, "s", {}, (1, 1), 7)


def test_the_element_types_are_those_of_the_page() -> None:
    (names,) = re.findall(r"name padded with zero bytes: `([^`]+)`", TEXT)
    assert names.split() == [*DTYPES, "bf16"]
    assert f"at most {MAX_RANK}" in TEXT

"""A source that is read until it ends, or is ended."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bridge.transports.stdio.endable_source import EndableSource
from tests.waiting import in_thread, join


@pytest.fixture
def pipe() -> Iterator[tuple[EndableSource, int]]:
    reads, writes = os.pipe()
    source = EndableSource(open(reads, "rb", buffering=0))
    yield source, writes
    source.close()
    os.close(writes)


def test_it_reads_what_comes_until_it_is_ended(pipe: tuple[EndableSource, int]) -> None:
    source, writes = pipe
    buffer = bytearray(8)
    os.write(writes, b"abc")
    assert source.readinto(memoryview(buffer)) == 3
    assert bytes(buffer[:3]) == b"abc"
    counts: list[int | None] = []
    reader = in_thread(lambda: counts.append(source.readinto(memoryview(buffer))))
    source.end()
    join(reader)
    assert counts == [0]
    assert source.readinto(memoryview(buffer)) == 0


def test_it_ends_with_its_source() -> None:
    reads, writes = os.pipe()
    source = EndableSource(open(reads, "rb", buffering=0))
    os.close(writes)
    assert source.readinto(memoryview(bytearray(8))) == 0
    source.close()

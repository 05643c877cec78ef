"""What is known of the methods of libraries, seen with those that are installed here."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.thread_safety.libraries import Effects, Libraries
from scripts.stress.libraries.table import rows_of

from .pairs import ADAPTERS, PAIRS, adapters, fault_of, fault_of_adapter, has_all, is_installed

#: The programs of the pairs close nothing.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

ROWS = Effects().rows()
NAMES = {library.name for library in Libraries()}
#: Too heavy, or with threads of their own: scripts/libraries runs all.
LIGHT = [
    "cachetools", "jinja2", "msgpack", "more-itertools", "psutil", "protobuf", "requests", "sqlite3",
    "sortedcontainers",
]  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What they have left is collected here, and no other test is warned of it."""
    yield
    gc.collect()


def test_there_are_eighty_libraries():
    assert len(NAMES) >= 80


def test_a_row_is_about_a_library_with_sources_and_stands_once():
    assert {row.library for row in ROWS} <= NAMES
    assert len({row.type for row in ROWS}) == len(ROWS)


def test_a_row_is_tested_only_with_a_pair():
    with_pairs = {(pair["library"], pair["type"]) for pair in PAIRS}
    assert {(row.library, row.type) for row in ROWS if row.tested} <= with_pairs


def test_the_guide_has_a_row_for_each_adapter_found_and_silent():
    page = Path(__file__).parents[2] / "docs" / "thread-safety.md"
    rows = [line for _, line in rows_of(page.read_text())]
    assert len(rows) == len(adapters())
    assert all("| exit 1 |" in row and "**" not in row for row in rows)


def test_a_row_reads_and_writes_something():
    for row in ROWS:
        assert row.names("reads") or row.names("writes")
        assert ("..." in row.names("reads")) is not ("..." in row.names("writes"))


@pytest.mark.parametrize(
    "pair",
    [pair for pair in PAIRS if pair["library"] in LIGHT and is_installed(pair)],
    ids=lambda pair: pair["type"],
)
def test_readers_are_quiet_and_a_writer_is_found(pair):
    assert fault_of(pair) is None


@pytest.mark.parametrize(
    "adapter",
    [a for a in adapters() if a.removeprefix("uses_") in (*LIGHT, "lru_cache", "logging", "futures", "asyncio")
     and has_all(a)],
)  # fmt: skip
def test_an_adapter_that_uses_a_library_wrongly_is_found_and_one_that_does_not_is_not(adapter):
    assert fault_of_adapter(adapter) is None


@pytest.mark.parametrize("version", ["Wrong", "Right"])
def test_a_race_beside_processes_that_are_spawned_or_of_a_forkserver_is_found(version):
    """In a process of its own, which ends the server as well."""
    command = [sys.executable, "-m", "bridge", "check", "--app-dir", str(ADAPTERS)]
    ended = subprocess.run(
        [*command, f"uses_multiprocessing:{version}"], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (int(version == "Wrong"), "")
    assert ("Wrong.total: " in ended.stdout) is (version == "Wrong")

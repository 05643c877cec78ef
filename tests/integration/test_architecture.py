"""``docs/architecture.md``: calls are followed through real processes, and go as the page says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import pytest

from bridge.testing import PortPeer
from bridge.wire.connection import TRANSITIONS
from tests.waiting import wait_until

from .followed_tools import TOOL

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "architecture.md").read_text()
ADAPTER = "followed_tools:Followed"
POOL = "calls/pool.py"
BYTES_ARE_THERE = ("wire/connection.py", "buffer_updated")
A_REQUEST_IS_THERE = ("transports/grpc/executor.py", "submit")
#: Is done for requests that came before, unless another thread was faster.
FOR_OTHERS = ("transports/grpc/rpc.py", "run_callbacks")
#: One worker drives the event loop while it waits: its queue is no ``SimpleQueue``, which is C.
ONE_WORKERS_QUEUE = (("calls/event_loop.py", "put"), ("calls/event_loop.py", "get"))
#: No more files than that from the bytes to the tool.
MOST_FILES = 9

Entry = tuple[str, str, str, str]


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found, title
    return found[1]


def tables(title: str) -> list[list[list[str]]]:
    """The rows of each table of a section, without its heading."""
    blocks = re.findall(r"(?:^\|.*\n)+", section(title), re.M)
    return [[row.strip("|\n ").split(" | ") for row in block.splitlines()[2:]] for block in blocks]


def named(rows: list[list[str]]) -> list[str]:
    """The files that the rows of a table name first."""
    return [re.search(r"\]\(\.\./bridge/([\w/.]+)\)", row[0])[1] for row in rows]


def way_to_the_tool(entries: list[Entry], begins: tuple[str, str]) -> list[str]:
    """The files that the last call of ``double`` entered, from where its bytes were there.

    ``begins``: the file and the function with which that began. Where the call is handed to a worker, what the
    first thread does afterwards is left out, and what the worker did before.
    """
    end = max(i for i, entry in enumerate(entries) if entry[2] == TOOL)
    start = max(i for i, entry in enumerate(entries[:end]) if entry[2:] == begins)
    worker = entries[end][0]
    first = [entry for entry in entries[start:end] if entry[0] == entries[start][0]]
    files = [first[0][1], *(entry[2] for entry in first)]
    if worker != first[0][0]:
        del files[files.index(POOL) + 1 :]
        there = [entry for entry in entries[:end] if entry[0] == worker]
        job = max(i for i, entry in enumerate(there) if entry[1] == POOL)
        files += [entry[2] for entry in there[job:]]
    return without_repeats(files)


def way_back(entries: list[Entry]) -> list[str]:
    """The files that the thread of the tool entered afterwards, until it was done with the call."""
    tool = max(i for i, entry in enumerate(entries) if entry[2] == TOOL)
    after = [entry for entry in entries[tool + 1 :] if entry[0] == entries[tool][0]]
    rest = takewhile(lambda entry: entry[1] != POOL, after)
    return without_repeats(entry[2] for entry in rest)


def without_repeats(files: Iterable[str]) -> list[str]:
    """Functions of one file one after the other are one entry."""
    return [file for file, _ in groupby(files) if file]


def check(title: str, entries: list[Entry], begins: tuple[str, str]) -> list[str]:
    """Compare a call with both tables of a section. Returns its way to the tool."""
    way = way_to_the_tool(entries, begins)
    to_the_tool, back = tables(title)
    assert named(to_the_tool) == way
    assert named(back) == way_back(entries)
    return way


def follow(call: Callable[..., Any], *arguments: Any) -> list[Entry]:
    """What calls of ``double`` entered; the last one is no process's first."""
    for _ in range(2):
        assert call("double", *arguments) == 42
    entries = [tuple(entry) for entry in call("entered")]
    return [entry for entry in entries if entry[2:] not in (FOR_OTHERS, *ONE_WORKERS_QUEUE)]


def test_a_call_over_stdio_goes_as_the_page_says() -> None:
    # with one worker nothing is run by the reader, and no other worker is in between
    options = ("--adapter", ADAPTER, "--app-dir", str(HERE), "--max-workers", "1")
    with PortPeer(*options) as peer:
        way = check("A call over stdio", follow(peer.call, [21]), BYTES_ARE_THERE)
    assert len(way) <= MOST_FILES
    assert len(set(way)) == len(way), "no file is entered twice before the tool runs"


def test_a_quick_tool_goes_as_the_page_says() -> None:
    entries: list[Entry] = []

    def has_proven_quick() -> bool:
        for _ in range(20):
            assert peer.call("double", [21]) == 42
        entries[:] = (tuple(entry) for entry in peer.call("entered"))
        last = max(i for i, entry in enumerate(entries) if entry[2] == TOOL)
        return "reader" in entries[last][0]

    (rows,) = tables("A quick tool over stdio")
    with PortPeer("--adapter", ADAPTER, "--app-dir", str(HERE), "--max-workers", "2") as peer:
        for _ in range(10):
            wait_until(has_proven_quick)
            way = way_to_the_tool(entries, BYTES_ARE_THERE)
            if named(rows) == way:
                break  # else others have had the processor, and it was not quick just then
    assert named(rows) == way
    assert len(set(way)) == len(way) <= MOST_FILES


def test_a_call_over_grpc_goes_as_the_page_says() -> None:
    pytest.importorskip("grpc")
    from .grpc_peer import GrpcPeer

    # one would run tools only, and others receive for it
    options = ("--adapter", ADAPTER, "--app-dir", str(HERE), "--max-workers", "2")
    with GrpcPeer(*options) as peer:
        check("A call over gRPC", follow(peer.call, [21]), A_REQUEST_IS_THERE)


def test_a_call_from_snakepit_goes_as_the_page_says(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    from .snakepit_peer import Snakepit

    two = ("--max-workers", "2")  # one runs tools only, and others receive for it
    (tmp_path / "followed_tools.py").write_text((HERE / "followed_tools.py").read_text())
    with Snakepit((0, 13, 0), "--adapter", ADAPTER, *two, directory=tmp_path) as worker:
        check("A call from Snakepit", follow(worker.call, {"number": 21}), A_REQUEST_IS_THERE)


def test_the_states_of_a_connection_are_those_of_the_code() -> None:
    (rows,) = tables("The states of a connection")
    states = [row[0].strip("`") for row in rows]
    following = {
        (state, after)
        for state, row in zip(states, rows, strict=True)
        for after in re.findall(r"`(\w+)`", row[-1])
    }
    assert following == TRANSITIONS

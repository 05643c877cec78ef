"""The headers that number interleavings: each names tests that exist, and no number is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Where a header calls its numbers interleavings.
HEADERS = {
    str(path.relative_to(ROOT)): text
    for path in sorted((ROOT / "bridge").rglob("*.py"))
    if re.search(r"^1\. ", text := ast.get_docstring(ast.parse(path.read_text())) or "", re.M)
    and "test_" in text
}
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text())
}


def test_the_files_where_threads_meet_have_such_a_header() -> None:
    assert {
        *(
            f"bridge/calls/{name}.py"
            for name in ("pool", "region", "async_calls", "nesting", "call")
        ),
        *(f"bridge/calls/inline/{name}.py" for name in ("runner", "watchdog")),
        *(f"bridge/transports/stdio/{name}.py" for name in ("writer", "stream", "elixir")),
        "bridge/transports/grpc/executor.py",
        "bridge/process/main_queue.py",
    } <= HEADERS.keys()


@pytest.mark.parametrize("file", HEADERS)
def test_each_number_names_a_test_that_forces_it(file: str) -> None:
    entries = re.split(r"^(?=\d+\. )", HEADERS[file], flags=re.M)[1:]
    assert [int(entry.partition(".")[0]) for entry in entries] == list(range(1, len(entries) + 1))
    for entry in entries:
        named = set(re.findall(r"\btest_\w+\b(?!\.py)", entry))
        assert named, f"{file}: {entry[:60]}"
        assert named <= TESTS, file

"""``python -m scripts.stress.libraries.table [PAGE]``: prints, or writes into a page, what the adapters show.

Each adapter that uses a library is checked twice, wrong and right, against the version that is
installed. Those whose library is missing keep their row.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.pages.marks import END, begin_of, write_between
from tests.libraries.pairs import ADAPTERS, adapters, has_all

_MODULE = "scripts.stress.libraries.table"
#: Where a distribution is called otherwise than the adapter.
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "pillow": "Pillow", "sqlalchemy": "SQLAlchemy"}
_HEAD = ["| library | wrong | found | right | what both do |", "| --- | --- | --- | --- | --- |"]


def main(arguments: list[str]) -> int:
    """Make the table; with a page, keep the rows of what is not installed."""
    page = Path(arguments[0]) if arguments else None
    old = {} if page is None else dict(rows_of(page.read_text()))
    rows: dict[str, str] = {}
    for adapter in adapters():
        row = _row(adapter) if has_all(adapter) else old.get(_name(adapter))
        if row is not None:
            rows[adapter] = row
    table = "\n".join([*_HEAD, *rows.values()]) + "\n"
    if page is None:
        print(table)
    else:
        page.write_text(write_between(page.read_text(), _MODULE, table))
    return 0


def rows_of(text: str) -> Iterator[tuple[str, str]]:
    """The rows that a page has, by library."""
    for line in text.partition(begin_of(_MODULE))[2].partition(END)[0].splitlines():
        if line.startswith("| ") and not line.startswith(("| library", "| ---")):
            yield line.split("|")[1].split()[0], line


def _row(adapter: str) -> str:
    wrong, right = (_check(f"{adapter}:{which}") for which in ("Wrong", "Right"))
    source = (ADAPTERS / f"{adapter}.py").read_text()
    what = (ast.get_docstring(ast.parse(source)) or "").rstrip(".").replace("``", "`")
    found = ", ".join(f"`{each['variable']}` ({each['grade']})" for each in wrong["findings"])
    silent = "silent" if not right["findings"] else "**found**"
    notes = ", ".join(f"`{each['variable']}`" for each in right["notes"])
    verdict = "exit 1" if wrong["findings"] else "**silent**"
    return f"| {_title(adapter)} | {verdict} | {found} | {silent}{f'; note: {notes}' if notes else ''} | {what} |"


def _title(adapter: str) -> str:
    """The library, and its version; of what comes with Python, that of Python."""
    name = _name(adapter)
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name} of Python {platform.python_version()}"


def _name(adapter: str) -> str:
    name = adapter.removeprefix("uses_")
    return _DISTRIBUTIONS.get(name, name)


def _check(spec: str) -> dict[str, list[dict[str, str]]]:
    """The report of one check, in a process of its own."""
    command = [sys.executable, "-m", "bridge", "check", "--json", "--app-dir", str(ADAPTERS), spec]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    report: dict[str, list[dict[str, str]]] = json.loads(ended.stdout)
    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

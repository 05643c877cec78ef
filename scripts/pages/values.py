"""Writes the tables of ``docs/values.md`` from the table that the tests run: ``python -m scripts.pages.values``.

What stands around them is written by hand. The table is ``tests/value_rows.py``.
"""

from __future__ import annotations

from pathlib import Path

from tests.value_rows import ROWS, Row

from .marks import write_between

PAGE = Path(__file__).parents[2] / "docs" / "values.md"


def write(text: str) -> str:
    """The text of the page with new tables. Raises ``ValueError`` if its marks are not there."""
    return write_between(text, "scripts.pages.values", _tables())


def _tables() -> str:
    sections: dict[str, list[Row]] = {}
    for row in ROWS:
        sections.setdefault(row.section, []).append(row)
    return "\n".join(_section(name, rows) for name, rows in sections.items())


def _section(name: str, rows: list[Row]) -> str:
    lines = [f"### {name}", ""]
    if rows[0].wire == "refused":
        lines += ["| Python | what the error says to do |", "| --- | --- |"]
        lines += [f"| {row.type} | {row.remedy} |" for row in rows]
    else:
        lines += [
            "| Python | on the wire | Elixir | JSON of gRPC | sent back, a tool gets | and |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {row.type} | {row.wire} | {row.in_elixir} | {row.in_json} | {row.back} | {row.remedy} |"
            for row in rows
        ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(write(PAGE.read_text()))

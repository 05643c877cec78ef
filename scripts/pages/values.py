"""Writes the tables of ``docs/values.md`` from the table that the tests run: ``python -m scripts.pages.values``.

What stands around them is written by hand. The table is ``tests/value_rows.py``.
"""

from __future__ import annotations

from pathlib import Path

from tests.value_rows import ROWS, Row

PAGE = Path(__file__).parents[2] / "docs" / "values.md"
_BEGIN = "<!-- begin of what python -m scripts.pages.values writes -->\n"
_END = "<!-- end of it -->\n"


def write(text: str) -> str:
    """The text of the page with new tables. Raises ``ValueError`` if its marks are not there."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page must have the lines\n{_BEGIN}{_END}")
    return f"{before}{begin}\n{_tables()}\n{end}{after}"


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

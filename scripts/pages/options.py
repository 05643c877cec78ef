"""Writes the tables of ``docs/options.md`` from the table of options: ``python -m scripts.pages.options``.

What stands around them is written by hand.
"""

from __future__ import annotations

import re
from pathlib import Path

from bridge.cli.arguments import all_options
from bridge.options import Group, Option

from .marks import write_between

PAGE = Path(__file__).parents[2] / "docs" / "options.md"


def write(text: str) -> str:
    """The text of the page with new tables. Raises ``ValueError`` if its marks are not there."""
    return write_between(text, "scripts.pages.options", _tables())


def _tables() -> str:
    groups: dict[Group, list[Option]] = {}
    for option in all_options():
        groups.setdefault(option.group, []).append(option)
    return "\n".join(_table(group, options) for group, options in groups.items())


def _table(group: Group, options: list[Option]) -> str:
    lines = [f"### {group.title}", ""]
    if group.description:
        lines += [_code(group.description), ""]
    lines += ["| option | value | default | what it is for |", "| --- | --- | --- | --- |"]
    for option in options:
        name = f"`{option.flag} {option.kind.metavar}".strip() + "`"
        default = "required" if option.required else option.default_text
        wants = "none" if option.is_switch else _code(option.kind.wants)
        lines.append(f"| {name} | {wants} | {default} | {_code(option.help)} |")
    return "\n".join([*lines, ""])


def _code(text: str) -> str:
    """Plain text as Markdown, the options in it as code."""
    return re.sub(r"(?<!\w)--[a-z][a-z-]*", r"`\g<0>`", text)


if __name__ == "__main__":
    PAGE.write_text(write(PAGE.read_text()))

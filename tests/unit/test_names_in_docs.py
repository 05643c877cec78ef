"""What pages and messages tell people to type: commands that are theirs to have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "protos").glob("*.md"))]  # fmt: skip
MODULES = sorted((ROOT / "bridge").rglob("*.py"))


@pytest.mark.parametrize("path", [*PAGES, *MODULES], ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_is_told_to_install_a_package_that_no_index_has(path):
    assert not re.search(r"install\s+['\"]?beam-bridge", path.read_text())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_on_pages_are_not_those_of_another_program(path):
    """On Debian, the command ``bridge`` is iproute2's."""
    commands = (
        r"^ *(?:\$ )?bridge (?:tools|call|check|doctor|--)|`bridge (?:tools|call|check|doctor)"
    )
    assert not re.findall(commands, path.read_text(), re.MULTILINE)


def test_the_readme_begins_with_an_environment():
    first = re.findall(r"^    (\S.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert first[0] == "python3 -m venv .venv && . .venv/bin/activate"
    assert first[1].startswith("python -m pip install /path/to/this/repository")


@pytest.mark.parametrize("name", ["bridge", "beam-bridge"])
def test_both_names_of_the_command_are_declared(name):
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name=name)
    assert script.value == "bridge.cli.main:main"

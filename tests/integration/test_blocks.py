"""Every block of code on every page can be read by its language; most of them are run elsewhere.

What cannot be run here are the blocks for packages of Elixir that no test may fetch.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("protos/*.md")]


def blocks(language: str) -> list[tuple[str, str]]:
    """Where each block is, and what is in it, without the indentation of a list."""
    found = []
    for page in PAGES:
        for indent, text in re.findall(
            rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(), re.M | re.S
        ):
            lines = [line.removeprefix(indent) for line in text.splitlines()]
            found.append((page.name, "\n".join(lines)))
    return found


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_a_block_of_python_can_be_compiled(page: str, text: str) -> None:
    compile(text, page, "exec")


@pytest.mark.skipif(shutil.which("elixir") is None, reason="Elixir is not installed")
def test_all_blocks_of_elixir_can_be_parsed(tmp_path: Path) -> None:
    # of one process: each takes half a second to start
    files = []
    for number, (page, text) in enumerate(blocks("elixir")):
        path = tmp_path / f"{number}-{page}.exs"
        path.write_text(text)
        files.append(str(path))
    assert len(files) > 10
    program = "for file <- System.argv(), do: Code.string_to_quoted!(File.read!(file), file: file)"
    done = subprocess.run(["elixir", "-e", program, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

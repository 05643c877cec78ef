"""The README's examples, run as a reader would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.testing import PortPeer
from tests.elixir_client import give_compiled

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
needs_elixir = pytest.mark.skipif(shutil.which("mix") is None, reason="Elixir is not installed")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """The README's Python files, in the directory that it names."""
    for block in blocks("python"):
        name = re.match(r"# (python/\w+\.py)\n", block)[1]
        (tmp_path / "python").mkdir(exist_ok=True)
        (tmp_path / name).write_text(block)
    return tmp_path


def test_the_test_passes(tools):
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "python"]
    done = subprocess.run(run, cwd=tools, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@needs_elixir
def test_the_first_snippet_works_where_it_is_pasted(tools):
    snippet = blocks("elixir")[0].replace("/path/to/this/repository", str(ROOT))
    assert "all matched" in elixir(tools, snippet, "elixir")


@needs_elixir
def test_the_snippets_for_applications_work_in_a_new_mix_project(tools):
    mix = shutil.which("mix")
    subprocess.run([mix, "new", "my_app"], cwd=tools, check=True, capture_output=True)
    app = tools / "my_app"
    shutil.copytree(tools / "python", app / "python")
    _, dependencies, snippet = blocks("elixir")
    mixfile = (app / "mix.exs").read_text()
    new, count = re.subn(
        r" *defp deps do\n.*?\n  *end\n", lambda _: dependencies, mixfile, flags=re.DOTALL
    )
    assert count == 1, mixfile
    (app / "mix.exs").write_text(new.replace("/path/to/this/repository", str(ROOT)))
    give_compiled(app)
    assert "all matched" in elixir(app, snippet, "mix", "run")


def elixir(directory: Path, snippet: str, *command: str) -> str:
    """Run a snippet; returns what it prints, and a word at its end."""
    (directory / "snippet.exs").write_text(snippet + '\nIO.puts("all matched")\n')
    # the package is found as if it were installed
    env = {**os.environ, "BRIDGE_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [*command, "snippet.exs"],
        cwd=directory,
        env={**env, "MIX_INSTALL_DIR": str(directory / "installs")},
        check=False,
        capture_output=True,
        text=True,
    )
    return run.stdout + run.stderr


def test_the_tools_of_the_second_example_work(tools):
    with PortPeer("--adapter", "more_tools:MoreTools", "--app-dir", str(tools / "python")) as peer:
        assert peer.call("translate", ["two"]) == "zwei"
        assert peer.call("crunch", {"steps": 3}) == "3 steps"
        assert peer.call("fetch", [0.01]) == "fetched"
        assert peer.call("one_at_a_time") > 0


def test_the_commands_for_people_work(tools):
    commands = re.findall(
        r"^    python -m bridge ((?:tools|call|doctor)[^#\n]*)", README, re.MULTILINE
    )
    assert len(commands) == 4
    for command in commands:
        words = re.findall(r"'([^']*)'|(\S+)", command)
        arguments = [quoted or plain for quoted, plain in words]
        subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            cwd=tools,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
        )

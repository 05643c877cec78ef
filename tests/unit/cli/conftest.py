"""The commands in this process and as processes: what they print and how they exit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.main import main
from tests.waiting import WAIT_S

HERE = str(Path(__file__).parent)
# Python buffers what goes into a pipe, and finds out late that nobody reads it.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


TOOLS = """
from bridge import Context, tool

@tool
def add(a, b):
    return a + b

@tool
def fails():
    raise ValueError("as expected")

@tool
def count():
    n = 0
    while True:
        yield n
        n += 1

@tool
def polite(ctx: Context):
    ctx.progress(1, 2, "begun")
    ctx.wait(60)
    ctx.check()

@tool
def ignores_cancel(ctx: Context):
    import threading
    ctx.progress(1, 2, "begun")
    threading.Event().wait(60)
"""


@pytest.fixture(autouse=True)
def undone(monkeypatch):
    """What a command imports and sets up is gone afterwards."""
    before, handler = set(sys.modules), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    signal.signal(signal.SIGINT, handler)
    for name in set(sys.modules) - before:
        if name.startswith("command_tools"):
            del sys.modules[name]


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command line in the directory of the tools; returns exit code, stdout, stderr."""
    monkeypatch.chdir(HERE)

    def run(*argv):
        try:
            code = main(argv)
        except SystemExit as left:
            code = left.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def start(tmp_path):
    """Starts ``python -m bridge`` in the directory of the tools; ends it after the test."""
    (tmp_path / "process_tools.py").write_text(TOOLS)
    started = []

    def start(*argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL):
        command = [sys.executable, "-m", "bridge", *argv]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=BUFFERED,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def outcome(process):
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out, err

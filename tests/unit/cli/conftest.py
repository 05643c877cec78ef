"""The commands in this process and as processes: what they print and how they exit."""

import signal
import subprocess
import sys

import pytest

from bridge.cli.main import main

from .command_processes import BUFFERED, HERE, TOOLS


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

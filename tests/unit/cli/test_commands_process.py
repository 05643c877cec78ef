"""The commands as processes: exit codes, output into a closed pipe, Ctrl-C."""

import os
import signal
import subprocess
import sys

import pytest

from tests.peers import WAIT_S

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


def test_a_result_goes_to_stdout_and_the_exit_code_is_0(start):
    assert outcome(start("call", "process_tools", "add", "[1, 2]")) == (0, "3\n", "")


def test_an_error_goes_to_stderr_and_the_exit_code_is_1(start):
    code, out, err = outcome(start("call", "process_tools", "fails"))
    assert (code, out) == (1, "")
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("internal: as expected\n")


def test_what_cannot_be_understood_exits_with_2(start):
    code, out, err = outcome(start("call", "process_tools", "add", "[1,"))
    assert (code, out) == (2, "")
    assert "JSON array or object" in err


def test_the_version_is_that_of_the_package(start):
    import bridge

    assert outcome(start("--version")) == (0, f"bridge {bridge.__version__}\n", "")


@pytest.mark.parametrize("tool", ["polite", "ignores_cancel"])
def test_ctrl_c_cancels_the_call_and_exits_with_1(start, tool):
    process = start("call", "process_tools", tool)
    assert process.stderr.readline().endswith("1/2 begun\n"), "the tool has begun"
    process.send_signal(signal.SIGINT)
    code, out, err = outcome(process)
    assert (code, out) == (1, "")
    assert err.startswith("cancelled: the caller cancelled")
    assert "Traceback" not in err


def closed_pipe():
    """The writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    "argv", [("tools", "process_tools"), ("call", "process_tools", "add", "[1, 2]")]
)
def test_output_that_nobody_reads_ends_the_command_quietly(start, argv):
    """As in ``bridge tools ADAPTER | head -0``."""
    writer = closed_pipe()
    process = start(*argv, stdout=writer)
    os.close(writer)
    code, _, err = outcome(process)
    assert (code, err) == (0, "")


def test_a_stream_that_nobody_reads_any_more_ends(start):
    """As in ``bridge call ADAPTER count | head -1``."""
    process = start("call", "process_tools", "count")
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode in (0, 1)
    assert "Exception ignored" not in err


def test_on_a_terminal_serving_tells_how_to_try_a_tool(start):
    master, terminal = os.openpty()
    try:
        code, out, err = outcome(start("--adapter", "process_tools", stdin=terminal))
    finally:
        os.close(master)
        os.close(terminal)
    assert (code, out) == (2, "")
    assert "bridge call ADAPTER TOOL" in err


INTERRUPTED_WHILE_IT_HOLDS_THE_LOCK = """
import signal, sys, threading
from bridge.cli.main import main

class Event(threading.Event):
    def wait(self, timeout=None):
        if threading.current_thread() is threading.main_thread() and begun.is_set():
            with self._cond:  # as wait() does, before it sleeps
                begun.clear()
                signal.raise_signal(signal.SIGINT)
        return super().wait(timeout)

begun = threading.Event()
threading.Event = Event
import process_tools
process_tools.begun = begun
sys.exit(main(["call", "process_tools", "tells_and_waits"]))
"""


def test_ctrl_c_while_the_main_thread_holds_a_lock_does_not_hang(start, tmp_path):
    """Forced: a signal handler runs on the thread that waits for the answer, within the wait."""
    with (tmp_path / "process_tools.py").open("a") as tools:
        tools.write("\n@tool\ndef tells_and_waits(ctx: Context):\n    begun.set()\n    ctx.wait(60)\n    ctx.check()\n")  # fmt: skip
    (tmp_path / "script.py").write_text(INTERRUPTED_WHILE_IT_HOLDS_THE_LOCK)
    command = [sys.executable, "script.py"]
    process = subprocess.Popen(command, cwd=tmp_path, env=BUFFERED, stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        _, err = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert err.startswith("cancelled: the caller cancelled")

"""``bridge call``: what it prints, how it exits, and how Ctrl-C ends it."""

import os
import signal
import subprocess
import sys

import pytest

from tests.waiting import WAIT_S

from .command_processes import BUFFERED, outcome


@pytest.fixture
def call(run):
    """Runs ``bridge call`` on the tools; what close() prints is left out."""

    def call(*argv):
        code, out, err = run("call", "command_tools:Tools", *argv)
        assert out.endswith("closed\n"), "close() runs last"
        return code, out.removesuffix("closed\n"), err

    return call


@pytest.mark.parametrize(
    ("argv", "out"),
    [
        (("add", "[1, 2]"), "3\n"),
        (("add", '{"b": 5, "a": 1}'), "6\n"),
        (("give", '["ü"]'), '"ü"\n'),
        (("give", '[{"k": [1, null]}]'), '{\n  "k": [\n    1,\n    null\n  ]\n}\n'),
        (("nothing",), ""),
        (("weird",), "{1}\n"),
        (("later",), '"later"\n'),
        (("count", "[2]"), '{\n  "n": 0\n}\n{\n  "n": 1\n}\n'),
        (("add", "[1]", "--timeout", "60"), "2\n"),
    ],
)
def test_call_prints_the_result(call, argv, out):
    assert call(*argv) == (0, out, "")


@pytest.mark.parametrize(
    ("argv", "err"),
    [
        (("no_such_tool",), "not_found: there is no tool 'no_such_tool'"),
        (("add",), "invalid_argument: add: missing argument 'a'; the tool is add(a: int"),
        (("refuses",), "permission_denied: not yours"),
        (("waits", "[]", "--timeout", "0.01"), "deadline_exceeded: the time of the call ran out"),
        (("unencodable",), "internal: unencodable: "),
    ],
)
def test_call_prints_errors_on_stderr_and_exits_with_1(call, argv, err):
    code, out, shown = call(*argv)
    assert (code, out) == (1, "")
    assert shown.startswith(err)


def test_call_prints_the_traceback_of_the_tool(call):
    code, out, err = call("fails")
    lines = err.splitlines()
    assert (code, out) == (1, "")
    assert lines[0] == "Traceback (most recent call last):"
    assert "command_tools.py" in lines[1]
    assert lines[-2:] == ["ValueError: as expected", "internal: as expected"]


def test_call_prints_the_items_before_the_failure(call):
    code, out, err = call("breaks")
    assert (code, out) == (1, "1\n")
    assert err.endswith("internal: as expected\n")


def test_call_shows_progress_and_logs_on_stderr(call):
    code, out, err = call("reports")
    assert (code, out) == (0, '"done"\n')
    bar, plain, line = err.splitlines()
    assert bar == f"[{'#' * 15}{' ' * 15}] 1/2 half"
    assert plain == "3"
    assert line == "info bridge.tool.reports: a line n=1"


def test_call_shows_odd_reports_and_goes_on(call):
    code, out, err = call("reports_oddly")
    assert (code, out) == (0, '"done"\n')
    assert len(err.splitlines()) == 5
    assert err.endswith("Leaving that cannot be shown\n")


def test_call_shows_results_that_are_hard_to_show(call):
    assert call("shy") == (0, "{'a': 1}\n", "")
    code, out, err = call("deep")
    assert (code, err) == (0, "")
    assert out


@pytest.mark.parametrize(
    ("arguments", "says"), [("[" * 100_000, "nested too deeply"), (f"[{'9' * 9999}]", "digits")]
)
def test_arguments_that_python_does_not_read_are_explained(run, arguments, says):
    code, out, err = run("call", "command_tools:Tools", "add", arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err) < 2000


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "argv", [("call", "process_tools", "add", "[1, 2]"), ("tools", "process_tools")]
)
def test_a_full_disk_is_told_in_one_line(start, argv):
    with open("/dev/full", "w") as full:
        code, _, err = outcome(start(*argv, stdout=full))
    assert code == 1
    assert err == "bridge: stdout: No space left on device\n"


@pytest.mark.parametrize("arguments", ["[1,", "3", '"text"', "null", "a b", ""])
def test_arguments_that_are_no_array_or_object_exit_with_2(run, arguments):
    code, out, err = run("call", "command_tools:Tools", "add", arguments)
    assert (code, out) == (2, "")
    assert "arguments must be a JSON array or object" in err


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


@pytest.mark.parametrize("tool", ["polite", "ignores_cancel"])
def test_ctrl_c_cancels_the_call_and_exits_with_1(start, tool):
    process = start("call", "process_tools", tool)
    assert process.stderr.readline().endswith("1/2 begun\n"), "the tool has begun"
    process.send_signal(signal.SIGINT)
    code, out, err = outcome(process)
    assert (code, out) == (1, "")
    assert err.startswith("cancelled: the caller cancelled")
    assert "Traceback" not in err


def test_a_stream_that_nobody_reads_any_more_ends(start):
    """As in ``bridge call ADAPTER count | head -1``."""
    process = start("call", "process_tools", "count")
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode in (0, 1)
    assert "Exception ignored" not in err


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

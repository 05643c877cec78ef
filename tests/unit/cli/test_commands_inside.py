"""``bridge tools``, ``call`` and ``doctor`` in this process: what they print and how they exit."""

import json
import signal
import sys
from pathlib import Path

import pytest

import bridge
from bridge.cli.main import main

HERE = str(Path(__file__).parent)


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
def call(run):
    """Runs ``bridge call`` on the tools; what close() prints is left out."""

    def call(*argv):
        code, out, err = run("call", "command_tools:Tools", *argv)
        assert out.endswith("closed\n"), "close() runs last"
        return code, out.removesuffix("closed\n"), err

    return call


def test_version_and_help(run):
    assert run("--version") == (0, f"bridge {bridge.__version__}\n", "")
    code, out, _ = run("--help")
    assert code == 0
    for word in ("--adapter", "--max-workers", "bridge call ADAPTER TOOL", "bridge doctor"):
        assert word in out
    for command in ("tools", "call", "doctor"):
        code, out, _ = run(command, "--help")
        assert (code, "--app-dir" in out) == (0, True)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("--adapter",),
        ("--adapter", "x", "--max-workers", "0"),
        ("--adapter", "x", "--max-queue", "-1"),
        ("--adapter", "x", "--grace", "nan"),
        ("--adapter", "x", "--fds", "3"),
        ("--adapter", "x", "--adapt", "y"),
        ("tools",),
        ("call", "x"),
        ("call", "x", "y", "[]", "--timeout", "soon"),
        ("doctor", "--no-such-option"),
        ("tolls", "x"),
    ],
)
def test_what_cannot_be_understood_exits_with_2(run, argv):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("usage: bridge")


def test_tools_lists_signatures_marks_and_summaries(run):
    code, out, err = run("tools", "command_tools:Tools")
    assert (code, err) == (0, "")
    lines = {line.split("(")[0]: line for line in out.splitlines()}
    assert list(lines) == sorted(lines)
    assert lines["add"].split("  ")[0] == "add(a: int, b: int = 1)"
    assert lines["add"].endswith("  Add two numbers.")
    assert lines["count"].endswith("  [streams] [serial] Count.")
    assert lines["later"].endswith("  [async] Async.")
    assert lines["nothing"] == "nothing()"
    assert lines["waits"] == "waits()"


def test_tools_as_json_are_what_the_protocol_answers(run):
    code, out, _ = run("tools", "command_tools:Tools", "--json")
    described = {tool["name"]: tool for tool in json.loads(out)}
    assert code == 0
    assert described["count"]["streaming"] is True
    assert described["add"]["parameters"][1] == {
        "name": "b",
        "kind": "either",
        "annotation": "int",
        "required": False,
        "default": 1,
    }


@pytest.mark.parametrize("command", [("tools",), ("call",), ("doctor",)])
def test_an_adapter_that_cannot_be_loaded_exits_with_1(run, command):
    extra = ("f",) if command == ("call",) else ()
    for adapter, said in (
        ("no_such_module_here", "there is no module 'no_such_module_here'"),
        ("command_tools:Empty", "has no tools"),
        ("command_tools:Tolls", "it has Tools, Careful, Empty, Broken"),
    ):
        code, _, err = run(*command, adapter, *extra)
        assert code == 1
        assert err.startswith("bridge: ")
        assert said in err


@pytest.mark.parametrize("command", [("call",), ("doctor",)])
def test_an_adapter_whose_setup_fails_exits_with_1_and_its_traceback(run, command):
    extra = ("f",) if command == ("call",) else ()
    code, _, err = run(*command, "command_tools:Broken", *extra)
    assert code == 1
    assert "setup() of command_tools:Broken failed" in err
    assert "ValueError: no model" in err


def test_the_adapter_may_be_in_another_directory(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("tools", "command_tools:Careful")[0] == 1
    assert run("tools", "command_tools:Careful", "--app-dir", HERE)[:2] == (0, "f()\n")


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


@pytest.mark.parametrize("arguments", ["[1,", "3", '"text"', "null", "a b", ""])
def test_arguments_that_are_no_array_or_object_exit_with_2(run, arguments):
    code, out, err = run("call", "command_tools:Tools", "add", arguments)
    assert (code, out) == (2, "")
    assert "arguments must be a JSON array or object" in err


def test_doctor_shows_interpreter_packages_and_descriptors(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = run("doctor")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0
    assert rows["bridge"] == bridge.__version__
    assert sys.executable in rows["python"]
    assert "GIL o" in rows["python"]
    assert rows["msgpack"][0].isdigit()
    assert rows["elixir"].startswith("not found; on Debian")
    assert {"numpy", "grpcio", "workers", "stdin", "stdout", "stderr"} <= rows.keys()


def test_doctor_sets_an_adapter_up_and_tells_whether_it_is_thread_safe(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = run("doctor", "command_tools:Tools")
    assert code == 0
    assert "closed\n" in out
    assert out.endswith("adapter     command_tools:Tools: 12 tools, declares itself thread-safe\n")
    assert run("doctor", "command_tools:Careful")[1].endswith("1 tools, needs --max-workers 1\n")

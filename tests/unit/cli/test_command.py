"""What the commands have in common: adapters that cannot be loaded, and output that nobody reads."""

import os

import pytest

from .command_processes import HERE, outcome


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

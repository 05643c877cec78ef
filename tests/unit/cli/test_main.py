"""The command line as a whole: help, version, and what is no command line."""

import os

import pytest

import bridge

from .command_processes import outcome


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
        ("--adapter", "x", "--grace", "nan"),
        ("--adapter", "x", "--adapt", "y"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line_and_exits_with_2(run, argv):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("bridge: --")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("tools",), "adapter"),
        (("call", "x"), "tool"),
        (("call", "x", "y", "[]", "--timeout", "soon"), "--timeout: 'soon': must be a number"),
        (("call", "x", "y", "--timeout=-1"), "--timeout: '-1': must be a number of seconds"),
        (("check", "x", "--threads", "1"), "--threads: '1': must be a whole number, 2 or more"),
        (("check", "x", "--cals=1"), "there is no --cals; did you mean --calls?"),
        (("doctor", "--no-such-option"), "there is no --no-such-option"),
    ],
)
def test_what_a_command_does_not_understand_exits_with_2_and_its_usage(run, argv, words):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith(f"usage: python -m bridge {argv[0]} ")
    assert words in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("word", "meant"),
    [("chek", "check"), ("tool", "tools"), ("Doctor", "doctor"), ("caal", "call"), ("zzz", None)],
)
def test_a_command_that_does_not_exist_names_those_that_do(run, word, meant):
    code, out, err = run(word, "my_tools")
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith(f"bridge: there is no command {word!r}")
    assert first.endswith(f"; did you mean {meant}?" if meant else f"{word!r}")
    assert "tools, call, check, doctor" in second
    assert "--adapter" not in err, "nobody typed it"


@pytest.mark.parametrize("command", [("tools",), ("call", "f"), ("check",), ("doctor",)])
def test_a_missing_module_names_the_argument_and_no_flag_of_serving(run, command):
    name, *rest = command
    _, _, err = run(name, "nosuch:Thing", *rest)
    assert err.startswith("bridge: adapter nosuch:Thing: there is no module 'nosuch' in ")
    assert "--adapter" not in err


def test_the_version_is_that_of_the_package(start):
    import bridge

    assert outcome(start("--version")) == (0, f"bridge {bridge.__version__}\n", "")


def test_on_a_terminal_serving_tells_how_to_try_a_tool(start):
    master, terminal = os.openpty()
    try:
        code, out, err = outcome(start("--adapter", "process_tools", stdin=terminal))
    finally:
        os.close(master)
        os.close(terminal)
    assert (code, out) == (2, "")
    assert "bridge call ADAPTER TOOL" in err

"""The commands for people, as a person runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parents[2] / "integration")
ADAPTER = "adapters:Tools"


def bridge(*arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge", *arguments]
    return subprocess.run(
        command, stdin=stdin, capture_output=True, text=True, timeout=30, check=False
    )


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return bridge("call", ADAPTER, *arguments, "--app-dir", HERE)


def test_tools_lists_signatures_and_descriptions():
    run = bridge("tools", ADAPTER, "--app-dir", HERE)
    assert run.returncode == 0
    assert "echo(value: Any)" in run.stdout
    assert "Return what was sent." in run.stdout
    assert "[streams]" in run.stdout


def test_tools_as_json_are_what_the_protocol_answers():
    described = json.loads(bridge("tools", ADAPTER, "--app-dir", HERE, "--json").stdout)
    assert {"name", "description", "parameters", "streaming"} == described[0].keys()


@pytest.mark.parametrize("arguments", ['["täxt"]', '{"value": "täxt"}'])
def test_call_prints_the_result(arguments):
    run = call("echo", arguments)
    assert (run.returncode, run.stdout) == (0, '"täxt"\n')


def test_call_prints_items_as_they_come():
    assert call("count", "[3]").stdout.split() == ["0", "1", "2", '"counted"']


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["raises"], "in raises"),
        (["raises"], "internal: on purpose"),
        (["ecko"], "there is no tool 'ecko'"),
        (["echo"], "missing argument 'value'"),
        (["unencodable"], "result.scores[3]"),
        (["sleep", "[5]", "--timeout", "0.05"], "deadline_exceeded"),
    ],
)
def test_call_explains_a_failure_on_stderr_and_exits_with_1(arguments, words):
    run = call(*arguments)
    assert (run.returncode, run.stdout) == (1, "")
    assert words in run.stderr


@pytest.mark.parametrize("arguments", ["[1", "5", '"text"'])
def test_arguments_that_are_no_json_list_or_object_are_a_usage_error(arguments):
    run = call("echo", arguments)
    assert run.returncode == 2
    assert "JSON array or object" in run.stderr


def test_control_c_cancels_the_call():
    command = [sys.executable, "-m", "bridge", "call", ADAPTER, "cooperative", "--app-dir", HERE]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert "began" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert "cancelled" in process.stderr.read()
        assert process.wait() == 1


def test_doctor_names_interpreter_and_packages():
    run = bridge("doctor", ADAPTER, "--app-dir", HERE)
    assert run.returncode == 0
    for word in (sys.executable, "msgpack", "numpy", "elixir", "declares itself thread-safe"):
        assert word in run.stdout


def test_an_adapter_that_is_not_there_is_explained():
    for command in ("tools", "doctor"):
        run = bridge(command, "nowhere:Tools")
        assert run.returncode == 1
        assert "there is no module 'nowhere'" in run.stderr


def test_help_teaches_and_version_tells():
    text = bridge("--help").stdout
    for word in ("bridge call", "--max-workers", "MODULE:CLASS", "--grace"):
        assert word in text
    assert bridge("--version").stdout.startswith("bridge 0.")


def test_without_an_adapter_the_usage_is_shown():
    run = bridge()
    assert run.returncode == 2
    assert "--adapter" in run.stderr

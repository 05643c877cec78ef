"""A command line that serves: every option is read, and every mistake explained in one line."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.arguments import all_options, read
from bridge.errors import UsageError
from bridge.options import Option
from bridge.process.settings import Settings, ThreadSafetySettings
from bridge.telemetry import TelemetrySettings
from bridge.transports.grpc.settings import GrpcSettings
from tests.option_values import (
    ONE_OF_A_KIND,
    SWITCHES,
    TABLE,
    VALUED,
    given_options,
    values,
    wrong_texts,
)

NAMED = ["--adapter", "a:A"]


def explain(*words: str) -> str:
    """What is wrong with a command line."""
    with pytest.raises(UsageError) as caught:
        read(words)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def part_of(settings: Settings, owner: type) -> Any:
    parts = {
        Settings: settings,
        GrpcSettings: settings.grpc,
        TelemetrySettings: settings.telemetry,
        ThreadSafetySettings: settings.thread_safety,
    }
    return parts[owner]


# -- what is right ----------------------------------------------------------------------------


@given(st.lists(given_options(), max_size=12))
def test_every_option_gets_the_value_of_its_last_text(chosen: list[Any]) -> None:
    # these come last, so that the values of gRPC and of the metrics are there to be seen
    given_words = [word for _, _, some in chosen for word in some]
    words = [*NAMED, *given_words, "--transport=stdio,grpc", "--metrics-port=9100"]
    expected = {option: value for option, value, _ in chosen}
    expected[Settings.options["transport"]] = ("stdio", "grpc")
    expected[TelemetrySettings.options["metrics_port"]] = 9100
    settings = read(words)
    for option in TABLE:
        part = part_of(settings, option.owner)
        if part is None:
            assert option.owner is ThreadSafetySettings
            assert option not in expected
        elif option.name in ("adapter", "report"):
            assert getattr(part, option.name) or option.name == "report"
        else:
            assert getattr(part, option.name) == expected.get(option, option.default)


@given(values(Settings.options["adapter"].kind))
def test_the_adapter_is_as_it_was_given(name: str) -> None:
    assert read([f"--adapter={name}"]).adapter == name


def test_what_is_not_said_has_its_default() -> None:
    settings = read(NAMED)
    assert vars(settings) == {**vars(Settings(adapter="a:A"))}
    assert (settings.grpc, settings.thread_safety) == (None, None)


@pytest.mark.parametrize("option", SWITCHES, ids=repr)
def test_a_switch_turns_its_default_round(option: Option) -> None:
    settings = read([*NAMED, "--transport", "grpc", option.flag])
    assert getattr(part_of(settings, option.owner), option.name) is not option.default


def test_the_options_of_grpc_are_read_without_grpc_and_not_kept() -> None:
    assert read([*NAMED, "--port", "1"]).grpc is None
    assert "--port 70000" in explain(*NAMED, "--port", "70000")


@pytest.mark.parametrize("flag", ["--thread-safety-check", "--thread-safety-strict"])
def test_any_option_of_thread_safety_asks_for_the_check(flag: str) -> None:
    assert read([*NAMED, flag]).thread_safety is not None
    assert read([*NAMED, "--thread-safety-report", "x"]).thread_safety is not None


# -- what is wrong ----------------------------------------------------------------------------


@given(st.data())
@pytest.mark.parametrize("option", ONE_OF_A_KIND, ids=repr)
def test_a_wrong_value_is_named_with_its_option_and_what_is_right(
    option: Option, data: st.DataObject
) -> None:
    text = data.draw(wrong_texts(option))
    shown = text if text.isalnum() and text.isascii() and len(text) < 60 else ""
    message = explain(*NAMED, f"{option.flag}={text}")
    assert f"{option.flag}={shown}" in message
    assert message.endswith(f": must be {option.kind.wants}")
    if text.startswith("--"):
        return
    message = explain(*NAMED, option.flag, text)
    assert message.startswith(f"{option.flag} {shown}")
    assert message.endswith(f": must be {option.kind.wants}")


@pytest.mark.parametrize("option", VALUED, ids=repr)
def test_an_empty_value_is_wrong_for_every_option(option: Option) -> None:
    said = f"{option.flag}=: must be {option.kind.wants}"
    assert explain(*NAMED, f"{option.flag}=") == said
    assert explain(*NAMED, option.flag, "") == said.replace("=", " ''", 1)


@pytest.mark.parametrize("option", VALUED, ids=repr)
def test_a_missing_value_is_explained(option: Option) -> None:
    assert explain(*NAMED, option.flag) == (
        f"{option.flag}: its value is missing; it must be {option.kind.wants}"
    )
    message = explain(*NAMED, option.flag, "--insecure")
    assert message.startswith(f"{option.flag}: its value is missing before --insecure;")


@pytest.mark.parametrize("option", SWITCHES, ids=repr)
def test_a_switch_takes_no_value(option: Option) -> None:
    assert (
        explain(*NAMED, f"{option.flag}=yes") == f"{option.flag}=yes: {option.flag} takes no value"
    )


@given(st.sampled_from(TABLE), st.data())
def test_a_mistyped_option_is_named_with_the_nearest(option: Option, data: st.DataObject) -> None:
    place = data.draw(st.integers(3, len(option.flag) - 1))
    wrong = option.flag[:place] + option.flag[place + 1 :]
    for words in ([wrong], [wrong, "3"], [f"{wrong}=3"]):
        assert explain(*NAMED, *words) == (
            f"{wrong}: there is no such option; did you mean {option.flag}?"
        )


MESSAGES = {
    "--max-workers 0": "--max-workers 0: must be a whole number, 1 or more",
    "--max-workers many": "--max-workers many: must be a whole number, 1 or more",
    "--max-message-bytes 1": "--max-message-bytes 1: must be a whole number from 1024 to 2147483647",
    "--port=70000": "--port=70000: must be a whole number from 0 to 65535",
    "--port=": "--port=: must be a whole number from 0 to 65535",
    "--grace -1": "--grace -1: must be a number of seconds from 0 to 1000000",
    "--grace nan": "--grace nan: must be a number of seconds from 0 to 1000000",
    "--fds 3": "--fds 3: must be two different descriptors, like 3,4",
    "--log-level loud": "--log-level loud: must be debug, info, warning or error",
    "--transport tcp": "--transport tcp: must be stdio, grpc, or stdio,grpc",
    "--max_workers 3": "--max_workers: there is no such option; did you mean --max-workers?",
    "--zzz": "--zzz: there is no such option; see python -m bridge --help",
    "-p 3": "-p: there is no such option; see python -m bridge --help",
    "stray": "stray: neither an option nor the value of one",
}


@pytest.mark.parametrize(("words", "message"), MESSAGES.items())
def test_the_messages(words: str, message: str) -> None:
    assert explain(*NAMED, *words.split()) == message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "--port ''"),
        ("7 0", "--port '7 0'"),
        ("7\n0", "--port '7\\n0'"),
        ("\udcff", "--port '\\udcff'"),
        ("9" * 5000, f"--port {'9' * 57}..."),
    ],
)
def test_a_value_that_cannot_be_shown_as_it_is_has_quotes(text: str, shown: str) -> None:
    assert explain(*NAMED, "--port", text).startswith(f"{shown}: must be ")


@pytest.mark.parametrize("words", [[], ["--insecure"]])
def test_an_adapter_is_required(words: list[str]) -> None:
    assert explain(*words).startswith("--adapter is missing: it must be MODULE:CLASS, ")


# -- the start --------------------------------------------------------------------------------


def test_neither_argparse_nor_grpc_is_loaded_where_nobody_needs_them() -> None:
    code = "import sys; from bridge.cli.main import read; read(sys.argv[1:]); "
    code += "print({'argparse', 'difflib', 'bridge.transports.grpc.settings'} & {*sys.modules})"
    command = [sys.executable, "-c", code, *NAMED, "--grace=2", "--no-inline"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_the_table_has_no_option_twice() -> None:
    flags = [option.flag for option in all_options()]
    assert len(flags) == len(set(flags))

"""The command line: read without argparse as argparse would, which explains what is wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli import options
from bridge.cli.options import GROUPS, Option

ALL = [option for _, _, group in GROUPS for option in group]
TEXTS = {
    "--max-workers": ["1", "64"],
    "--max-queue": ["0", "10"],
    "--max-message-bytes": ["1024", "67108864"],
    "--grace": ["0", "0.5", "1e3"],
    "--fds": ["3,4"],
    "--log-level": ["debug", "error"],
    "--log-format": ["json"],
    "--transport": ["grpc", "stdio,grpc"],
    "--port": ["0", "65535"],
}


@st.composite
def words_of(draw: st.DrawFn, option: Option) -> list[str]:
    if option.takes is None:
        return [option.name]
    text = draw(st.sampled_from(TEXTS.get(option.name, ["some.name:Thing", "a b", ""])))
    return draw(st.sampled_from([[option.name, text], [f"{option.name}={text}"]]))


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    chosen = draw(st.lists(st.sampled_from(ALL), max_size=8))
    words = [draw(words_of(option)) for option in [*chosen, options.ADAPTER]]
    return [word for some in words for word in some]


@given(command_lines())
def test_argparse_reads_the_same(arguments):
    plain: Any = options._read_plain(arguments)
    assert plain == vars(options._parser().parse_args(arguments))


WRONG = {
    "--max-workers 0": "0 is below 1",
    "--max-workers many": "'many' is not a whole number",
    "--port 70000": "70000 is above 65535",
    "--grace -1": "'-1' is not a number of seconds, 0 or more",
    "--grace=-1": "'-1' is not a number of seconds, 0 or more",
    "--grace nan": "'nan' is not a number of seconds",
    "--fds 3": "'3' is not two descriptors, like 3,4",
    "--log-level loud": "'loud' is none of debug, info, warning, error",
    "--transport tcp": "'tcp' is not stdio, grpc, or stdio,grpc",
    "--no-inline=yes": "ignored explicit argument 'yes'",
    "--max-worker 3": "unrecognized arguments: --max-worker 3",
    "--app-dir": "expected one argument",
    "stray": "unrecognized arguments: stray",
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.items())
def test_what_is_wrong_is_explained(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        options.read(["--adapter", "a:A", *arguments.split()])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_an_adapter_is_required(capsys):
    with pytest.raises(SystemExit):
        options.read([])
    assert "the following arguments are required: --adapter" in capsys.readouterr().err


def test_help_names_every_option_and_what_it_takes(capsys):
    with pytest.raises(SystemExit) as ended:
        options.read(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for option in ALL:
        assert f"{option.name} {option.takes or ''}".strip() in shown


def test_a_command_line_without_mistakes_does_not_load_argparse():
    code = "import sys; from bridge.cli import options; options.read(sys.argv[1:]); "
    code += "print('argparse' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code, "--adapter", "a:A", "--grace=2", "--reflection"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "False\n"

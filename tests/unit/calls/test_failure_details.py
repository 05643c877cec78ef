"""What exceptions carry beside their text, and that it reaches the caller."""

import subprocess
import sys
import urllib.error
from collections.abc import Iterator, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

import pytest

from bridge import CallError, tool
from bridge.calls.failure_details import MAX_OUTPUT, read_details
from bridge.calls.failures import describe_failure
from bridge.wire import Encoder, decode_value
from tests.tool_bench import Bench


class Response:
    def __init__(self, **fields):
        vars(self).update(fields)


class ClientError(Exception):
    """As requests, httpx and aiohttp have them."""

    def __init__(self, **fields):
        vars(self).update(fields)


def http_error(code):
    return urllib.error.HTTPError("http://localhost/", code, "no", None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failure", "details"),
    [
        (FileNotFoundError(2, "no such file", "a.txt"), {"errno": 2, "filename": "a.txt"}),
        (FileNotFoundError(2, "no such file", b"a\xff"), {"errno": 2, "filename": "a\\xff"}),
        (FileNotFoundError(2, "no such file", "a\udcff"), {"errno": 2, "filename": "a\\udcff"}),
        (ConnectionResetError(104, "reset"), {"errno": 104}),
        (OSError("only text"), None),
        (ValueError("no facts"), None),
        (SystemExit(200), None),
        (
            subprocess.CalledProcessError(3, ["convert", "a"], b"out", b"bad \xff"),
            {"returncode": 3, "cmd": ["convert", "a"], "stdout": "out", "stderr": "bad \\xff"},
        ),
        (
            subprocess.CalledProcessError(-9, "convert a", stderr="bad"),
            {"returncode": -9, "cmd": "convert a", "stderr": "bad"},
        ),
        (subprocess.TimeoutExpired("sleep 9", 1.5), {"timeout": 1.5, "cmd": "sleep 9"}),
        (http_error(404), {"status": 404}),
        (ClientError(response=Response(status_code=503)), {"status": 503}),
        (ClientError(response=Response(status=502), code=7), {"status": 502}),
        (ClientError(status=429), {"status": 429}),
        (ClientError(status_code=401), {"status": 401}),
        (ClientError(status=True, response=None), None),
        (ClientError(status="404"), None),
    ],
)
def test_the_facts_of_an_exception_are_its_details(failure, details):
    assert read_details(failure) == details
    assert describe_failure(failure).details == details
    assert decode_value(Encoder().value(details, "details")) == details


def test_of_what_a_program_wrote_the_end_is_told():
    failure = subprocess.CalledProcessError(1, "x", stderr="begin " + "x" * MAX_OUTPUT + " end")
    text = read_details(failure)["stderr"]
    assert len(text) == MAX_OUTPUT
    assert text.endswith("x end")


class Hostile(Exception):
    def __getattribute__(self, name):
        raise SystemExit


def test_an_exception_that_tells_nothing_is_told_all_the_same():
    assert read_details(Hostile()) is None


def test_they_reach_the_caller():
    @tool
    def run():
        subprocess.run([sys.executable, "-c", "raise SystemExit('why')"], check=True, stderr=-1)

    bench = Bench(run)
    error = bench.peer.answer(bench.start("run"))
    assert error.type == "subprocess.CalledProcessError"
    assert (error.details["returncode"], error.details["stderr"]) == (1, "why\n")


class _Uncoded(CallError):
    code = "no such code"


class _Endless(Mapping[int, int]):
    """Says that it has two items."""

    def __getitem__(self, key: int) -> int:
        return key

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[int]:
        return count()


class _Wordless:
    def __str__(self) -> str:
        raise SystemExit(3)


def _call_error(**fields: Any) -> CallError:
    return CallError("x", **fields)


@pytest.mark.parametrize(
    ("failure", "field", "value"),
    [
        (_Uncoded("x"), "code", "internal"),
        (CallError(5), "message", "5"),  # type: ignore[arg-type]
        (_call_error(type=5), "type", "5"),
        (_call_error(traceback="two\nlines"), "traceback", ["two", "lines"]),
        (_call_error(traceback=["a", 5]), "traceback", ["a", "5"]),
        (_call_error(started="yes"), "started", True),
        (_call_error(details=[1]), "details", {"details": [1]}),
        (_call_error(details=MappingProxyType({"a": 1})), "details", {"a": 1}),
        (_call_error(details=_Endless()), "details", {0: 0, 1: 1}),
    ],
    ids=repr,
)
def test_what_a_tool_gives_an_error_becomes_what_is_due(
    failure: CallError, field: str, value: Any
) -> None:
    """Whatever sends it, gRPC's trailers or a frame, can rely on the types."""
    assert getattr(describe_failure(failure), field) == value


def test_lines_of_a_traceback_that_cannot_be_shown_are_described() -> None:
    lines = describe_failure(_call_error(traceback=[_Wordless()])).traceback
    assert lines is not None
    assert "_Wordless" in lines[0]

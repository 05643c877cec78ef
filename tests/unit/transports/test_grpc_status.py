"""Errors as statuses: what a client is told, and that it always fits into trailers."""

import pytest

pytest.importorskip("grpc")

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.rpc.error_details_pb2 import BadRequest, DebugInfo, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import (
    CODES,
    CallError,
    Cancelled,
    DeadlineExceeded,
    InvalidParams,
    PoolFull,
    ShuttingDown,
    ToolFailed,
    ToolNotFound,
)
from bridge.transports.grpc.status import CallStatus

KINDS = (ErrorInfo, DebugInfo, BadRequest, RetryInfo, Struct)


def trailers_of(error, field=None):
    return dict(CallStatus(error, field).trailing_metadata)


def details_of(error, field=None):
    """The details of the rich status, by the names of their messages."""
    status = Status.FromString(trailers_of(error, field)["grpc-status-details-bin"])
    found = {}
    for packed in status.details:
        (kind,) = (kind for kind in KINDS if packed.Is(kind.DESCRIPTOR))
        found[kind.DESCRIPTOR.name] = detail = kind()
        packed.Unpack(detail)
    return found


def percent_encoded_bytes(text):
    """As gRPC sends the message: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md."""
    return sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in text.encode())


def size_of(error, field=None):
    """How large all trailers are as HTTP/2 counts them, before compression."""
    status = CallStatus(error, field)
    size = len("grpc-status") + 2 + 32 + len("grpc-message") + 32
    size += percent_encoded_bytes(status.details)
    for key, value in status.trailing_metadata:
        size += len(key) + 32
        size += (len(value) + 2) // 3 * 4 if isinstance(value, bytes) else len(value)
    return size


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_the_status_of_the_same_name(code):
    status = CallStatus(CallError("why", code=code))
    assert status.code is grpc.StatusCode[code.upper()]
    assert status.details == "why"
    rich = Status.FromString(dict(status.trailing_metadata)["grpc-status-details-bin"])
    assert (rich.code, rich.message) == (status.code.value[0], "why")


def test_every_status_but_ok_has_a_code():
    assert {code.name.lower() for code in grpc.StatusCode} - {"ok"} == CODES


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ToolFailed("x", type="builtins.ValueError", started=True), "TOOL_FAILED"),
        (ToolFailed("x"), "INTERNAL"),
        (ToolNotFound("x"), "NOT_FOUND"),
        (InvalidParams("x"), "INVALID_ARGUMENT"),
        (Cancelled("x"), "CANCELLED"),
        (DeadlineExceeded("x"), "DEADLINE_EXCEEDED"),
        (ShuttingDown("x"), "UNAVAILABLE"),
        (CallError("x", code="aborted", type="m.T"), "ABORTED"),
    ],
)
def test_the_reason_is_the_code_but_of_an_exception_in_a_tool(error, reason):
    info = details_of(error)["ErrorInfo"]
    assert (info.domain, info.reason) == ("bridge", reason)


@pytest.mark.parametrize(("started", "text"), [(True, "true"), (False, "false")])
def test_whether_the_tool_may_have_begun_is_told_if_it_is_known(started, text):
    known = details_of(CallError("x", started=started))["ErrorInfo"]
    assert dict(known.metadata) == {"started": text}
    assert dict(details_of(CallError("x"))["ErrorInfo"].metadata) == {}


def test_only_a_full_queue_is_worth_another_try():
    full = PoolFull("x", started=False)
    delay = details_of(full)["RetryInfo"].retry_delay.ToMilliseconds()
    assert delay > 0
    assert trailers_of(full)["grpc-retry-pushback-ms"] == str(delay)
    other = CallError("quota", code="resource_exhausted")
    assert "RetryInfo" not in details_of(other)
    assert "grpc-retry-pushback-ms" not in trailers_of(other)


@pytest.mark.parametrize(("field", "named"), [(None, "params"), ("params.json", "params.json")])
def test_a_wrong_argument_names_its_field(field, named):
    (violation,) = details_of(InvalidParams("why"), field)["BadRequest"].field_violations
    assert (violation.field, violation.description) == (named, "why")
    assert "BadRequest" not in details_of(ToolNotFound("why"), field)


def test_a_traceback_is_there_only_if_there_is_one():
    assert "DebugInfo" not in details_of(ToolFailed("x"))
    assert "DebugInfo" not in details_of(ToolFailed("x", traceback=[]))
    lines = ["Traceback (most recent call last):", '  File "x.py"', "ValueError: ä"]
    assert list(details_of(ToolFailed("x", traceback=lines))["DebugInfo"].stack_entries) == lines


def test_of_a_long_traceback_the_innermost_lines_stay():
    lines = [f"line {number}" for number in range(5000)]
    kept = list(details_of(ToolFailed("x", traceback=lines))["DebugInfo"].stack_entries)
    assert 10 < len(kept) < 500
    assert kept == lines[-len(kept) :]
    assert sum(len(line) for line in kept) <= 2048


def test_a_line_that_is_too_long_is_cut():
    kept = details_of(ToolFailed("x", traceback=["in f", "E: " + "x" * 9000]))["DebugInfo"]
    assert kept.stack_entries[-1].startswith("E: xxx")


def test_details_of_the_tool_are_a_struct():
    details = {"who": "Eve", "n": 1, "big": 2**60, "data": b"\xff", "list": [None, {"k": 0.5}]}
    found = MessageToDict(details_of(CallError("x", details=details))["Struct"])
    assert found == {**details, "big": str(2**60), "data": "/w=="}


@pytest.mark.parametrize("details", [{"x": "y" * 10_000}, {}, None])
def test_details_that_are_too_long_are_left_out_and_the_error_stays(details):
    error = CallError("why", code="aborted", details=details)
    assert CallStatus(error).details == "why"
    assert details_of(error).keys() == {"ErrorInfo"}


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({"x": object(), "n": 1}, {"n": 1}),
        ({"\ud800": 1}, {"\\ud800": 1}),
        ({"a": {1: "x", "1": "y"}}, {"a": {"1": "x", "1 (1)": "y"}}),
    ],
    ids=["no form", "a key that is no Unicode", "keys of one text"],
)
def test_of_details_that_cannot_be_sent_what_can_is(details, told):
    error = CallError("why", code="aborted", details=details)
    assert CallStatus(error).details == "why"
    found = MessageToDict(details_of(error)["Struct"])
    assert "object object at" in found.pop("x", "object object at")
    assert found == told


@pytest.mark.parametrize("text", ["x", "ä", "€", "𝄞", "%", "\n", "\ud800"])
def test_a_long_message_is_cut_between_characters_and_marked(text):
    details = CallStatus(CallError(text * 5000)).details
    details.encode()
    assert 200 < len(details.encode()) <= 768
    kept, _, mark = details.rpartition("…")
    size = len((text * 5000).encode(errors="backslashreplace"))
    assert mark == f" ({size - len(kept.encode())} more bytes)"
    assert text.encode(errors="backslashreplace").decode() * 10 in kept


texts = st.text(st.characters(), max_size=40).flatmap(
    lambda text: st.sampled_from([1, 50, 5000]).map(lambda times: text * times)
)


@given(
    code=st.sampled_from(sorted(CODES)),
    text=texts,
    type=st.none() | texts,
    traceback=st.none() | st.lists(texts, max_size=5).map(lambda lines: lines * 40),
    details=st.none() | st.dictionaries(st.text(max_size=5), texts, max_size=5),
    started=st.sampled_from([None, True, False]),
)
def test_every_error_fits_into_trailers(code, text, type, traceback, details, started):
    error = CallError(
        text, code=code, type=type, traceback=traceback, details=details, started=started
    )
    assert size_of(error) < 8192
    assert details_of(error)["ErrorInfo"].domain == "bridge"


@pytest.mark.parametrize("text", ["ä", "%", "\x01", "x"])
@pytest.mark.parametrize("kind", [PoolFull, InvalidParams, ToolFailed])
def test_an_error_that_is_as_large_as_can_be_fits_into_trailers(kind, text):
    for room in range(480, 520):
        error = kind(
            text * 5000,
            type=text * 500,
            traceback=["ä" * 2, *[text * 3] * 1000],
            details={"k": "x" * room},
            started=False,
        )
        assert size_of(error, "params.msgpack") < 8192

"""``--tracing``: a span for each call of a tool, of whatever kind, in the trace of its caller."""

from __future__ import annotations

import pytest

from bridge.errors import CallError
from tests.waiting import WAIT_S, wait_until

pytest.importorskip("opentelemetry.sdk")

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
METADATA = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


@pytest.fixture
def peer(start):
    return start("--tracing", "--max-workers", "4", adapter="traced_tools:Traced")


def spans(peer, name):
    return [span for span in peer.call("spans") if span["name"] == name]


def span_of(peer, name):
    wait_until(lambda: bool(spans(peer, name)), f"the span {name}")
    (span,) = spans(peer, name)
    return span


@pytest.mark.parametrize("name", ["add", "add_later"])
def test_a_call_is_a_span_in_the_trace_of_its_caller(peer, name):
    assert peer.call(name, {"a": 1, "b": 2}, metadata=METADATA) == 3
    span = span_of(peer, name)
    assert (span["trace"], span["parent"]) == (TRACE, CALLER)
    assert (span["kind"], span["status"]) == ("SERVER", "UNSET")
    assert span["attributes"] == {"rpc.system": "bridge", "rpc.method": name}
    inside = span_of(peer, f"inside {name}")
    assert (inside["trace"], inside["parent"]) == (TRACE, span["id"])


@pytest.mark.parametrize("name", ["count", "count_later"])
def test_a_stream_is_one_span_from_its_first_item_to_its_last(peer, name):
    assert list(peer.stream(name, [3], metadata=METADATA)) == [0, 1, 2]
    span = span_of(peer, name)
    assert (span["trace"], span["parent"], span["status"]) == (TRACE, CALLER, "UNSET")
    assert [span_of(peer, f"inside {name} {n}")["parent"] for n in range(3)] == [span["id"]] * 3


def test_without_a_trace_of_the_caller_each_call_begins_one(peer):
    for number in range(50):  # known to be quick by then, so on the thread that reads too
        assert peer.call("add", [number]) == number + 1
    made = spans(peer, "add")
    assert len({span["trace"] for span in made}) == 50
    assert all(span["parent"] is None for span in made)


@pytest.mark.parametrize("traceparent", ["", "00", "00-0-0-00", "\x00", "ü" * 10_000])
def test_a_trace_that_is_none_is_as_if_there_was_none(peer, traceparent):
    assert peer.call("add", [1], metadata={"traceparent": traceparent}) == 2
    assert span_of(peer, "add")["parent"] is None


def test_a_batch_is_a_span_of_its_own(peer):
    assert peer.call("double", [4], metadata=METADATA) == 8
    span = span_of(peer, "double")
    assert (span["kind"], span["parent"]) == ("INTERNAL", None)


def test_an_error_is_in_the_span(peer):
    with pytest.raises(CallError, match="no such user"):
        peer.call("fails")
    span = span_of(peer, "fails")
    assert (span["status"], span["events"]) == ("ERROR", ["exception"])
    assert span["attributes"]["bridge.code"] == "not_found"


def test_a_call_whose_time_runs_out_says_so(peer):
    with pytest.raises(CallError) as caught:
        peer.call("waits", [0.3], timeout_ms=10)
    assert caught.value.code == "deadline_exceeded"
    assert span_of(peer, "waits")["attributes"]["bridge.code"] == "deadline_exceeded"


def test_the_environment_says_where_spans_go(start):
    peer = start(
        "--tracing",
        adapter="traced_tools:NoProvider",
        env={"OTEL_TRACES_EXPORTER": "console", "OTEL_SERVICE_NAME": "my-tools"},
    )
    assert peer.call("add", [1, 2], metadata=METADATA) == 3
    peer.call("$/shutdown")
    assert peer.wait(WAIT_S) == 0
    printed = peer.stderr
    assert TRACE in printed
    assert "my-tools" in printed


def test_an_exporter_that_is_not_here_is_explained(start):
    peer = start(
        "--tracing",
        adapter="traced_tools:NoProvider",
        env={"OTEL_TRACES_EXPORTER": "no_such"},
        wait_until_ready=False,
    )
    assert peer.wait(WAIT_S) == 1
    assert "there is no exporter 'no_such' of spans; here are" in peer.stderr

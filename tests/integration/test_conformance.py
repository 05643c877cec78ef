"""One suite for every transport: whoever calls a tool, and however, the same happens."""

from __future__ import annotations

import math
import random
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from bridge.errors import CODES, CallError, Cancelled, PoolFull, ShuttingDown, ToolNotFound
from bridge.testing import PortPeer
from tests.equality import deep_equal
from tests.processes import Processes, Shared, put_away
from tests.strategies import tensors, wire_values
from tests.waiting import WAIT_S, in_thread, join, wait_until

from .conformance_tools import Meeting, Visitor

HERE = str(Path(__file__).parent)
ADAPTER = ("--adapter", "conformance_tools:Tools", "--app-dir", HERE)
#: All examples of a test are for one process.
ONE_PROCESS = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def open_peer(transport: str, *arguments: str) -> PortPeer:
    """A bridge with the tools of this suite, and its client."""
    if transport == "stdio":
        return PortPeer(*ADAPTER, *arguments)
    pytest.importorskip("grpc")
    from .grpc_peer import SMALLEST_WINDOW, GrpcPeer

    # it is gRPC's credit, and as bounded as stdio's only if its client does not let it grow
    return GrpcPeer(*ADAPTER, *arguments, window=SMALLEST_WINDOW)


@pytest.fixture(scope="module", params=["stdio", "grpc"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "grpc":
        pytest.importorskip("grpc")
    return request.param


@pytest.fixture(scope="module")
def bridges(transport: str, processes: Processes) -> Iterator[Shared[PortPeer]]:
    with Shared(processes, partial(open_peer, transport), settle) as bridges:
        yield bridges


@pytest.fixture
def peer(bridges: Shared[PortPeer], request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    """A bridge with four workers; each test leaves it idle."""
    with bridges.lend(request, "--max-workers", "4") as peer:
        yield peer


@pytest.fixture
def narrow(bridges: Shared[PortPeer], request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    """A bridge with one worker and room for two more calls; each test leaves it idle."""
    with bridges.lend(request, "--max-workers", "1", "--max-queue", "2") as peer:
        yield peer


@pytest.fixture
def pair(bridges: Shared[PortPeer], request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    """A bridge with two workers; each test leaves it idle."""
    with bridges.lend(request, "--max-workers", "2", "--max-queue", "20") as peer:
        yield peer


@pytest.fixture
def start(transport: str) -> Iterator[Callable[..., PortPeer]]:
    """Starts bridges that end in their test."""
    peers: list[PortPeer] = []

    def start(*arguments: str) -> PortPeer:
        peers.append(open_peer(transport, *arguments))
        return peers[-1]

    yield start
    for peer in peers:
        put_away(peer)


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    meeting = Meeting()
    yield meeting
    meeting.close()


def error_of(peer: PortPeer, msgid: int) -> CallError:
    with pytest.raises(CallError) as caught:
        peer.result(msgid)
    return caught.value


def failure(peer: PortPeer, tool: str, *args: Any, **options: Any) -> CallError:
    return error_of(peer, peer.request(tool, list(args), **options))


def stats(peer: PortPeer, key: str) -> Any:
    return peer.call("$/stats")[key]


def settle(peer: PortPeer) -> None:
    """Wait until nothing runs or waits any more."""
    wait_until(lambda: (h := peer.call("$/health"))["in_flight"] == h["busy"] == 0, "an idle pool")


def endless(peer: PortPeer, meeting: Meeting, name: str, items: int, size: int = 1 << 20) -> int:
    credit = {"items": items, "bytes": 64 << 20}
    return peer.request("sizes", [meeting.port, name, size], stream=credit)


def be_heard(peer: PortPeer) -> None:
    """Return when the server knows what was sent so far.

    A client of gRPC ends a call itself, before the server hears of it; but what it sends arrives in
    order, and a ping that has come back was behind it.
    """
    for _ in range(10):
        peer.call("$/ping")


def begin_with_deadline(
    peer: PortPeer, meeting: Meeting, tool: str, *args: Any, timeout_s: float = 0.3, **options: Any
) -> tuple[int, Visitor]:
    """A call whose time runs out, but not before its tool has begun, and the tool.

    ``timeout_s``: the time that it has, unless the machine is too busy to begin so soon.
    """
    for seconds in (timeout_s, 10 * timeout_s, WAIT_S):
        name = f"within {seconds} s"
        timeout_ms = seconds * 1000
        msgid = peer.request(tool, [meeting.port, name, *args], timeout_ms=timeout_ms, **options)
        wait_until(lambda m=msgid, n=name: m in peer.responses or n in meeting.names(), "its begin")
        if name in meeting.names():
            return msgid, meeting.visitor(name)
    raise AssertionError(f"{tool} does not begin")


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**63,
        2**64 - 1,
        2**64,
        -(2**63) - 1,
        3**1000,
        1.5,
        -0.0,
        math.nan,
        math.inf,
        -math.inf,
        "",
        "täxt \x00 𝄞",
        b"",
        b"\xff\x00",
        [],
        {},
        [1, [2, [3, {}]]],
        {"a": {"b": None}, 1: 2, b"\x01": 3, None: 4},
        datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        np.arange(6, dtype="f4").reshape(2, 3),
        np.zeros((0, 3), dtype="i1"),
        [np.array(1.5), {"nested": np.array([1, 2], dtype="u8")}],
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_comes_back_as_it_was(peer, value):
    assert deep_equal(peer.call("echo", [value]), value)


@ONE_PROCESS
@given(value=wire_values())
def test_every_value_comes_back_as_it_was(peer, value):
    assert deep_equal(peer.call("echo", [value]), value)


@settings(ONE_PROCESS, max_examples=40)
@given(array=tensors())
def test_every_tensor_comes_back_as_it_was(peer, array):
    assert deep_equal(peer.call("echo", [array]), array)


@settings(ONE_PROCESS, max_examples=40)
@given(value=wire_values())
def test_every_value_can_be_an_item(peer, value):
    msgid = peer.request("stream_of", [[value, value]], stream={"items": 3, "bytes": 1 << 30})
    assert peer.result(msgid) is None
    assert deep_equal(peer.items[msgid], [value, value])


def test_what_python_sends_beside_messages_has_its_plain_form(peer):
    assert peer.call("rich") == {
        "dataclass": {"x": 1, "y": 2.5},
        "enum": "red",
        "set": [1],
        "tuple": [1, "two"],
        "decimal": "1.10",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "path": "/a/b",
        "date": "2026-11-23",
        "duration": 1.5,
        "naive": "2026-11-23T12:00:00",
        "scalar": 0.5,
        "range": [0, 1, 2],
    }


def test_tensors_are_arrays_to_the_tool(peer):
    assert peer.call("total", [np.full((100, 3), 2, dtype="f8")]) == 600


def test_large_values_arrive_whole_both_ways(peer):
    data = bytes(range(256)) * (40 << 10)
    assert peer.call("echo", [data]) == data


# -- arguments ------------------------------------------------------------------------------


def test_arguments_bind_by_position_and_by_name(peer):
    assert peer.call("defaults", [1]) == [1, "b", 1.5, None]
    assert peer.call("defaults", [1, "x"]) == [1, "x", 1.5, None]
    assert peer.call("defaults", {"a": 1, "c": 2, "d": [3]}) == [1, "b", 2, [3]]
    assert peer.call("given", [1, "x"]) == "((1, 'x'), {})"
    assert peer.call("given", {"a": 1, "ä": b"\x00"}) == "((), {'a': 1, 'ä': b'\\x00'})"
    assert peer.call("given") == "((), {})"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ([], "missing argument 'value'"),
        ([1, 2], "takes 1 by position, got 2"),
        ({"valu": 1}, "unknown argument 'valu'"),
        ({1: 2}, "unknown argument 1"),
    ],
)
def test_wrong_arguments_name_the_parameter_and_the_signature(peer, params, words):
    error = error_of(peer, peer.request("echo", params))
    assert (error.code, error.started) == ("invalid_argument", False)
    assert words in error.message
    assert "echo(value: Any)" in error.message


def test_an_unknown_tool_is_named_with_those_that_exist(peer):
    error = failure(peer, "ecko", 1)
    assert type(error) is ToolNotFound
    assert (error.code, error.started) == ("not_found", False)
    assert "'ecko'" in error.message
    assert "async_count" in error.message


def test_the_tools_are_described(peer):
    tools = {described["name"]: described for described in peer.call("$/tools")}
    assert tools["count"]["streaming"] is True
    assert tools["echo"]["streaming"] is False
    assert (tools["echo"]["idempotent"], tools["count"]["idempotent"]) == (True, False)
    assert tools["defaults"]["description"] == "Every kind of parameter."
    assert tools["until_interrupted"]["parameters"][-1]["name"] == "name", "it shows its context"
    a, b, c, d = tools["defaults"]["parameters"]
    assert (a["kind"], a["annotation"], a["required"]) == ("either", "int", True)
    assert (b["required"], b["default"]) == (False, "b")
    assert (c["kind"], c["default"]) == ("named", 1.5)
    assert (d["annotation"], d["default"]) == ("Any", None)


# -- errors ---------------------------------------------------------------------------------


def test_an_exception_arrives_with_its_type_and_traceback(peer):
    error = failure(peer, "raises", "bad weather")
    assert (error.code, error.type, error.message, error.started) == (
        "internal",
        "builtins.ValueError",
        "bad weather",
        True,
    )
    assert error.traceback[0].startswith("Traceback")
    assert "in raises" in error.traceback[1]
    assert error.traceback[-1] == "ValueError: bad weather"


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_tool_chooses_its_code_and_details(peer, code):
    details = {"text": "x", "number": 1, "list": [True, None, {"deep": 1.5}]}
    error = failure(peer, "raises_call_error", code, "chosen: ä", details)
    assert (error.code, error.message, error.started) == (code, "chosen: ä", True)
    assert error.details == details


def test_a_call_error_of_the_tools_own_class_keeps_code_and_details(peer):
    error = failure(peer, "refuses", "Eve")
    assert (error.code, error.message) == ("permission_denied", "Eve may not")
    assert error.details == {"who": "Eve"}


def test_an_error_without_a_message_is_still_one(peer):
    error = failure(peer, "raises", "")
    assert (error.code, error.type, error.message) == (
        "internal",
        "builtins.ValueError",
        "ValueError",
    )


def test_a_message_of_many_lines_and_scripts_arrives(peer):
    text = "first\nsecond\r\n\ttab 100% ü 𝄞 \x7f"
    assert failure(peer, "raises", text).message == text


@pytest.mark.parametrize(
    ("tool", "type"),
    [
        ("raises_system_exit", "builtins.SystemExit"),
        ("raises_keyboard_interrupt", "builtins.KeyboardInterrupt"),
    ],
)
def test_a_tool_that_would_end_the_process_fails_alone(peer, tool, type):
    error = failure(peer, tool)
    assert (error.code, error.type) == ("internal", type)
    assert peer.call("echo", [1]) == 1


def test_a_result_that_cannot_be_encoded_names_tool_type_and_path(peer):
    error = failure(peer, "unencodable")
    assert (error.code, error.started) == ("internal", True)
    assert error.type == "bridge.errors.EncodeError"
    for words in ("unencodable", "result.scores[3]", "lock"):
        assert words in error.message
    assert peer.call("echo", [1]) == 1


def test_the_path_is_that_of_what_cannot_be_encoded_and_not_of_a_time_before_it(peer):
    assert "result.lock" in failure(peer, "unencodable_after_a_time").message


def test_a_key_that_is_not_unicode_is_an_error_that_names_it(peer):
    error = failure(peer, "surrogate_key")
    assert (error.code, error.type) == ("internal", "bridge.errors.EncodeError")
    assert "the key" in error.message


def test_a_message_that_is_not_unicode_arrives_nevertheless(peer):
    error = failure(peer, "raises_surrogate")
    assert (error.code, error.type) == ("internal", "builtins.ValueError")
    assert "lone" in error.message


def test_what_an_async_tool_raises_arrives_likewise(peer):
    error = failure(peer, "async_raises")
    assert (error.type, error.message) == ("builtins.LookupError", "async")
    assert any("in async_raises" in line for line in error.traceback)


def test_errors_and_calls_are_counted(peer):
    settle(peer)
    before = stats(peer, "tools")["raises"]
    failure(peer, "raises", "counted")
    settle(peer)
    after = stats(peer, "tools")["raises"]
    assert after["calls"] - before["calls"] == after["errors"] - before["errors"] == 1


# -- cancel and deadline ----------------------------------------------------------------------


def test_a_running_call_that_is_cancelled_learns_it(peer, meeting):
    msgid = peer.request("until_interrupted", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    assert visitor.hears() == "None", "a call without a deadline has one"
    peer.cancel(msgid)
    assert type(error_of(peer, msgid)) is Cancelled
    assert visitor.hears(2) == "Cancelled cancelled True"


def test_cancel_callbacks_run_although_the_tool_is_blocked(peer, meeting):
    msgid = peer.request("tells_of_cancel", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    peer.cancel(msgid)
    assert visitor.hears() == "on_cancel"
    assert error_of(peer, msgid).code == "cancelled"
    assert stats(peer, "abandoned") == 1
    assert stats(peer, "in_flight") == 0, "nobody waits for it"
    visitor.go()
    settle(peer)
    assert stats(peer, "abandoned") == 0


def test_a_queued_call_that_is_cancelled_never_runs(narrow, meeting):
    running = narrow.request("meet", [meeting.port, "first"])
    first = meeting.visitor("first")
    queued = narrow.request("meet", [meeting.port, "second"])
    last = narrow.request("meet", [meeting.port, "last"])
    wait_until(lambda: stats(narrow, "queued") == 2, "both to wait")
    narrow.cancel(queued)
    assert error_of(narrow, queued).code == "cancelled"
    be_heard(narrow)
    first.go("one")
    meeting.visitor("last").go("three")
    assert (narrow.result(running), narrow.result(last)) == ("one", "three")
    assert meeting.names() == ["first", "last"]


def test_a_deadline_is_seen_by_the_tool(peer, meeting):
    # a client of gRPC cancels when its own clock says so: on a machine that is late to read the
    # request, that comes first
    for timeout_s in (0.3, 1.2, 5.0):
        msgid, visitor = begin_with_deadline(
            peer, meeting, "until_interrupted", timeout_s=timeout_s
        )
        # gRPC rounds what it sends up, to three digits or so
        assert 0 < float(visitor.hears()) <= WAIT_S * 1.01
        assert error_of(peer, msgid).code == "deadline_exceeded"
        if visitor.hears(2) != "Cancelled cancelled True":
            break
    assert visitor.hears(2) == "DeadlineExceeded deadline_exceeded True"


def test_a_deadline_ends_a_call_that_ignores_it(peer, meeting):
    msgid, visitor = begin_with_deadline(peer, meeting, "meet")
    assert error_of(peer, msgid).code == "deadline_exceeded"
    wait_until(lambda: stats(peer, "abandoned") == 1, "the worker to be abandoned")
    assert stats(peer, "in_flight") == 0
    visitor.go()


def test_a_result_whose_own_code_takes_long_is_no_way_around_the_deadline(peer, meeting):
    msgid = peer.request("meet_while_encoded", [meeting.port, "in time"])
    meeting.visitor("in time").go("a word")
    assert peer.result(msgid) == {"heard": "a word"}
    msgid, visitor = begin_with_deadline(peer, meeting, "meet_while_encoded")
    assert error_of(peer, msgid).code == "deadline_exceeded"
    wait_until(lambda: stats(peer, "abandoned") == 1, "the worker to be abandoned")
    visitor.go()
    wait_until(lambda: stats(peer, "abandoned") == 0, "its end")


def test_a_queued_call_whose_time_runs_out_never_runs(narrow, meeting):
    running = narrow.request("meet", [meeting.port, "first"])
    first = meeting.visitor("first")
    for timeout_ms in (100, 1_000, 10_000):
        before = stats(narrow, "queued")
        late = narrow.request("meet", [meeting.port, "late"], timeout_ms=timeout_ms)
        wait_until(lambda b=before, n=late: stats(narrow, "queued") > b or n in narrow.responses)
        has_waited = late not in narrow.responses
        assert error_of(narrow, late).code == "deadline_exceeded"
        be_heard(narrow)
        if has_waited:
            break
    assert has_waited
    first.go("one")
    assert narrow.result(running) == "one"
    assert narrow.call("echo", ["behind it"]) == "behind it"
    assert meeting.names() == ["first"]


def test_a_call_without_a_deadline_has_none_and_a_long_one_is_seen(peer):
    assert peer.call("facts")["remaining"] is None
    assert 3500 < peer.call("facts", timeout_ms=3_600_000)["remaining"] <= 3600 * 1.01


# -- the pool -------------------------------------------------------------------------------


def test_a_full_queue_refuses_at_once_and_goes_on(narrow, meeting):
    running = narrow.request("meet", [meeting.port, "first"])
    first = meeting.visitor("first")
    waiting = [narrow.request("echo", [n]) for n in range(2)]
    wait_until(lambda: stats(narrow, "queued") == 2, "the queue to fill")
    for _ in range(3):
        error = failure(narrow, "meet", meeting.port, "refused")
        assert type(error) is PoolFull
        assert (error.code, error.started) == ("resource_exhausted", False)
        assert "--max-queue" in error.message
    first.go("one")
    assert narrow.result(running) == "one"
    assert [narrow.result(msgid) for msgid in waiting] == [0, 1]
    assert narrow.call("echo", ["room again"]) == "room again"
    assert meeting.names() == ["first"]


def test_replies_leave_in_completion_order(peer, meeting):
    names = ["a", "b", "c"]
    ids = {name: peer.request("meet", [meeting.port, name]) for name in names}
    visitors = {name: meeting.visitor(name) for name in names}
    for name in reversed(names):
        visitors[name].go(name.upper())
        assert peer.result(ids[name]) == name.upper()
        earlier = names[: names.index(name)]
        assert not any(ids[other] in peer.responses for other in earlier)


def test_as_many_calls_run_at_once_as_there_are_workers(peer, meeting):
    settle(peer)
    ids = [peer.request("meet", [meeting.port, str(n)]) for n in range(6)]
    wait_until(lambda: len(meeting.names()) == 4, "four calls to run")
    wait_until(lambda: stats(peer, "queued") == 2, "two to wait")
    assert stats(peer, "busy") == 4
    assert len(meeting.names()) == 4
    gone: set[str] = set()
    while len(gone) < 6:
        # gRPC keeps no order among requests that are on their way at the same time
        wait_until(lambda: gone < set(meeting.names()), "the next")
        for name in set(meeting.names()) - gone:
            meeting.visitor(name).go(name)
            gone.add(name)
    assert [peer.result(msgid) for msgid in ids] == list("012345")


def test_serial_calls_never_overlap_and_occupy_one_worker_at_most(pair, meeting):
    ids = [pair.request("meet_alone", [meeting.port, str(n)]) for n in range(7)]
    wait_until(lambda: stats(pair, "queued") == 6, "six to wait")
    for gone in range(7):
        wait_until(lambda gone=gone: len(meeting.names()) == gone + 1, "the next")
        # the other worker is free, whatever waits
        assert pair.call("echo", ["quick"], timeout_ms=15_000) == "quick"
        # it has its answer before its worker has done with it
        wait_until(lambda: stats(pair, "busy") == 1, "the other worker to be free again")
        assert stats(pair, "queued") == 6 - gone
        assert len(meeting.names()) == gone + 1, "two serial calls run at once"
        meeting.visitor(meeting.names()[-1]).go()
    assert [pair.result(msgid) for msgid in ids] == [1] * 7
    assert sorted(meeting.names()) == list("0123456")


def test_a_serial_call_that_waits_can_be_cancelled(pair, meeting):
    running = pair.request("meet_alone", [meeting.port, "first"])
    first = meeting.visitor("first")
    waiting = pair.request("meet_alone", [meeting.port, "second"])
    wait_until(lambda: stats(pair, "queued") == 1, "the second to wait")
    pair.cancel(waiting)
    assert error_of(pair, waiting).code == "cancelled"
    wait_until(lambda: stats(pair, "queued") == 0, "the second to leave")
    first.go()
    assert pair.result(running) == 1
    third = pair.request("meet_alone", [meeting.port, "third"])
    meeting.visitor("third").go()
    assert pair.result(third) == 1
    assert meeting.names() == ["first", "third"]


def test_serial_calls_that_wait_count_for_the_limit(narrow, meeting):
    running = narrow.request("meet_alone", [meeting.port, "0"])
    first = meeting.visitor("0")
    waiting = []
    for n in (1, 2):
        waiting.append(narrow.request("meet_alone", [meeting.port, str(n)]))
        wait_until(lambda n=n: stats(narrow, "queued") == n, "it to wait")
    assert failure(narrow, "meet_alone", meeting.port, "3").code == "resource_exhausted"
    first.go()
    for n in (1, 2):
        meeting.visitor(str(n)).go()
    assert [narrow.result(msgid) for msgid in (running, *waiting)] == [1, 1, 1]
    assert "3" not in meeting.names()


def test_serial_streams_take_turns_as_well(pair, meeting):
    credit = {"items": 5, "bytes": 1000}
    ids = [pair.request("stream_alone", [meeting.port, n], stream=credit) for n in "abc"]
    wait_until(lambda: stats(pair, "queued") == 2, "two to wait")
    for count in (1, 2, 3):
        wait_until(lambda count=count: len(meeting.names()) == count, "the next")
        assert pair.call("echo", [count]) == count
        meeting.visitor(meeting.names()[-1]).go()
    assert [pair.result(msgid) for msgid in ids] == [None] * 3
    assert [pair.items[msgid] for msgid in ids] == [["a"], ["b"], ["c"]]


def test_the_bridge_answers_about_itself_while_everything_is_full(narrow, meeting):
    running = narrow.request("meet", [meeting.port, "first"])
    first = meeting.visitor("first")
    waiting = [narrow.request("nothing") for _ in range(2)]
    wait_until(lambda: stats(narrow, "queued") == 2, "the queue to fill")
    assert narrow.call("$/ping", ["there?"]) == "there?"
    assert narrow.call("$/health")["status"] == "serving"
    assert stats(narrow, "tools")["meet"]["in_flight"] == 1
    assert len(narrow.call("$/tools")) > 20
    if type(narrow) is PortPeer:  # over gRPC they want a token
        (thread,) = (t for t in narrow.call("$/stacks")["threads"] if t["tool"] is not None)
        assert (thread["tool"], thread["id"], thread["abandoned"]) == ("meet", running, False)
        assert thread["stack"] is None or thread["stack"][0]["function"].endswith("meet")
    first.go()
    assert [narrow.result(msgid) for msgid in (running, *waiting)] == ["go", None, None]


def test_tools_that_nobody_awaits_are_ended_where_that_is_wanted(start):
    peer = start("--max-workers", "1", "--interrupt-abandoned", "0")
    for timeout_ms in (100, 1000, 10_000):  # on a busy machine it may be over before it begins
        error = error_of(peer, peer.request("spin", timeout_ms=timeout_ms))
        assert error.code == "deadline_exceeded"
        assert peer.call("echo", [timeout_ms]) == timeout_ms  # or the worker is not free
        if stats(peer, "interrupts") == {"raised": 1, "ended": 1}:
            break
    assert stats(peer, "interrupts") == {"raised": 1, "ended": 1}


def test_everybody_gets_their_own_answer_once(peer):
    def caller(name: int) -> None:
        for n in range(50):
            assert peer.call("echo", [[name, n]]) == [name, n]
            done.append((name, n))

    done: list[tuple[int, int]] = []
    join(*(in_thread(caller, name) for name in range(6)))
    assert len(done) == 300
    assert all(len(answers) == 1 for answers in peer.responses.values())


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_calls_cancels_and_deadlines_leaves_nothing_behind(pair, meeting, seed):
    outcomes: list[str] = []

    def client(number: int) -> None:
        luck = random.Random(seed * 10 + number)
        for n in range(40):
            options: dict[str, Any] = {}
            if luck.random() < 0.4:
                options["timeout_ms"] = luck.choice([0.5, 2, 10])
            tool, *params = luck.choice(
                [
                    ("echo", n),
                    ("quick_alone",),
                    ("count", 30),
                    ("sizes", meeting.port, "x", luck.choice([10, 100_000])),
                    ("async_count", 5),
                    ("raises", "storm"),
                ]
            )
            if tool in ("count", "sizes", "async_count"):
                options["stream"] = {"items": luck.choice([1, 50]), "bytes": 1 << 20}
            msgid = pair.request(tool, params, **options)
            if "stream" in options or luck.random() < 0.4:
                pair.call("$/ping")
                pair.cancel(msgid)
            try:
                pair.result(msgid)
            except CallError as error:
                outcomes.append(error.code)
            else:
                outcomes.append("ok")

    join(*(in_thread(client, number) for number in range(6)))
    assert len(outcomes) == 240
    codes = {"ok", "cancelled", "deadline_exceeded", "internal", "resource_exhausted"}
    assert set(outcomes) <= codes
    assert outcomes.count("ok") > 10
    settle(pair)
    assert all(len(answers) == 1 for answers in pair.responses.values())
    found = pair.call("$/stats")
    assert not any(tool["in_flight"] for tool in found["tools"].values())
    assert len(found["workers"]) == 2
    # and both workers still work, as does the lane
    ids = [pair.request("meet", [meeting.port, str(n)]) for n in range(2)]
    for n in range(2):
        meeting.visitor(str(n)).go()
    assert [pair.result(msgid) for msgid in ids] == ["go"] * 2
    assert pair.call("quick_alone") is True


# -- streams --------------------------------------------------------------------------------


def test_items_come_in_order_and_the_return_value_last(peer):
    msgid = peer.request("count", [500], stream={"items": 1000, "bytes": 1 << 20})
    assert peer.result(msgid) == "counted"
    assert peer.items[msgid] == list(range(500))


def test_an_empty_stream_has_a_return_value(peer):
    msgid = peer.request("count", [0], stream={"items": 1, "bytes": 1000})
    assert peer.result(msgid) == "counted"
    assert msgid not in peer.items


def test_a_plain_tool_may_be_streamed_and_sends_no_items(peer):
    msgid = peer.request("echo", ["plain"], stream={"items": 1, "bytes": 1000})
    assert peer.result(msgid) == "plain"
    assert msgid not in peer.items


def test_a_streaming_tool_must_be_streamed(peer):
    error = failure(peer, "count", 1)
    assert (error.code, error.started) == ("invalid_argument", False)
    assert "streams" in error.message


def test_an_error_in_the_middle_comes_after_the_items_before_it(peer):
    msgid = peer.request("fails_in_the_middle", [3], stream={"items": 9, "bytes": 1000})
    error = error_of(peer, msgid)
    assert (error.code, error.type, error.message) == (
        "internal",
        "builtins.ValueError",
        "in the middle",
    )
    assert any("in fails_in_the_middle" in line for line in error.traceback)
    assert peer.items[msgid] == [0, 1, 2]


def test_an_item_that_cannot_be_encoded_names_its_path(peer):
    msgid = peer.request("yields_unencodable", stream={"items": 9, "bytes": 1000})
    error = error_of(peer, msgid)
    assert (error.code, error.type) == ("internal", "bridge.errors.EncodeError")
    assert "item.scores[0]" in error.message
    assert peer.items[msgid] == [1]


def test_errors_before_a_stream_are_those_of_a_call(peer):
    credit = {"items": 1, "bytes": 1000}
    assert failure(peer, "ecko", stream=credit).code == "not_found"
    assert failure(peer, "count", stream=credit).code == "invalid_argument"


def test_a_slow_reader_pauses_the_generator(peer, meeting):
    msgid = endless(peer, meeting, "a", items=2)
    visitor = meeting.visitor("a")
    wait_until(lambda: len(peer.items.get(msgid, [])) == 2, "two items")
    for number in range(200):
        assert peer.call("echo", [number]) == number
    made = len(visitor.heard)
    # over gRPC one is in hand, of which the window has taken the beginning
    assert made <= 2 + 1, "a generator that nobody reads goes on"
    peer.credit(msgid, 20, 64 << 20)
    wait_until(lambda: len(peer.items[msgid]) == 22, "twenty more")
    assert len(visitor.heard) > made
    peer.cancel(msgid)
    assert error_of(peer, msgid).code == "cancelled"
    assert visitor.leaves()[-1] == "finally"


def test_leaving_early_runs_the_generators_finally(peer, meeting):
    msgid = endless(peer, meeting, "a", items=3, size=10)
    visitor = meeting.visitor("a")
    wait_until(lambda: len(peer.items.get(msgid, [])) == 3, "three items")
    peer.cancel(msgid)
    assert error_of(peer, msgid).code == "cancelled"
    assert visitor.leaves()[-2:] == ["GeneratorExit", "finally"]
    assert peer.items[msgid] == [bytes(10)] * 3


def test_an_endless_stream_can_be_cancelled_while_it_flows(peer, meeting):
    msgid = endless(peer, meeting, "a", items=1 << 30, size=100)
    wait_until(lambda: len(peer.items.get(msgid, [])) > 100, "items")
    peer.cancel(msgid)
    assert error_of(peer, msgid).code == "cancelled"
    assert meeting.visitor("a").leaves()[-1] == "finally"


def test_a_deadline_ends_a_stream(peer, meeting):
    credit = {"items": 1 << 30, "bytes": 64 << 20}
    msgid, visitor = begin_with_deadline(peer, meeting, "sizes", 100, stream=credit)
    assert error_of(peer, msgid).code == "deadline_exceeded"
    assert visitor.leaves()[-1] == "finally"


def test_a_deadline_ends_a_stream_that_is_paused(peer, meeting):
    credit = {"items": 1, "bytes": 64 << 20}
    msgid, visitor = begin_with_deadline(peer, meeting, "sizes", 1 << 20, stream=credit)
    assert visitor.leaves()[-1] == "finally"
    peer.credit(msgid, 1 << 20)
    assert error_of(peer, msgid).code == "deadline_exceeded"


def test_progress_and_log_lines_come_with_the_stream(peer):
    msgid = peer.request("steps", [3], stream={"items": 9, "bytes": 1 << 20})
    assert peer.result(msgid) is None
    assert peer.items[msgid] == [0, 1, 2]
    progress = [p for m, p in peer.notifications if m == "$/progress" and p[0] == msgid]
    assert progress == [
        [msgid, 0, 3, "step 0"],
        [msgid, 1, 3, "step 1"],
        [msgid, 2, 3, "step 2"],
        [msgid, 3, None, None],
    ]
    logs = [p for m, p in peer.notifications if m == "$/log" and p[4] == msgid]
    assert logs == [
        [
            "info",
            "bridge.tool.steps",
            f"log {n}",
            {"number": n, "nested": {"list": [1, None, "x"]}},
            msgid,
        ]
        for n in range(3)
    ]


def test_progress_of_a_plain_tool_comes_when_it_is_streamed(peer):
    msgid = peer.request("plain_with_progress", stream={"items": 1, "bytes": 1000})
    assert peer.result(msgid) == "done"
    assert ("$/progress", [msgid, 1, 2, "half"]) in peer.notifications
    log = ["warning", "bridge.tool.plain_with_progress", "careful", {}, msgid]
    assert ("$/log", log) in peer.notifications


def test_progress_nobody_asked_for_does_no_harm(peer):
    assert peer.call("plain_with_progress") == "done"


def test_notes_that_cannot_be_sent_as_they_are_do_not_raise_in_the_tool(peer):
    assert peer.call("odd_notes") == []
    msgid = peer.request("odd_notes", stream={"items": 1, "bytes": 1000})
    assert peer.result(msgid) == []
    assert ("$/progress", [msgid, 0.5, 2, None]) in peer.notifications


def test_progress_that_nobody_reads_never_blocks_the_tool(peer, meeting):
    peer.pause()
    credit = {"items": 2, "bytes": 1 << 20}
    msgid = peer.request("notes_without_end", [meeting.port, "a"], stream=credit)
    visitor = meeting.visitor("a")
    assert visitor.hears() == "said all"
    visitor.go()
    peer.resume()
    assert peer.result(msgid) is None
    assert peer.items[msgid] == [1]


# -- async ----------------------------------------------------------------------------------


def test_async_tools_run_at_once_and_know_their_call(peer):
    ids = [peer.request("async_pair", ["a"]) for _ in range(2)]
    assert [peer.result(msgid) for msgid in ids] == ["async_pair"] * 2


def test_an_async_tool_that_is_cancelled_learns_it(peer, meeting):
    msgid = peer.request("async_until_cancelled", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    peer.cancel(msgid)
    assert error_of(peer, msgid).code == "cancelled"
    assert visitor.leaves() == ["CancelledError"]


def test_an_async_call_that_is_cancelled_before_its_first_step_is_quiet(start, meeting):
    peer = start("--max-workers", "2")
    blocking = peer.request("async_blocks_everybody", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    behind = peer.request("async_raises")
    wait_until(lambda: stats(peer, "async_running") == 2, "both to be with the loop")
    peer.cancel(behind)
    assert error_of(peer, behind).code == "cancelled"
    visitor.go("on")
    assert peer.result(blocking) == "on"
    settle(peer)
    assert peer.stderr == ""


def test_async_generators_stream(peer):
    msgid = peer.request("async_count", [5], stream={"items": 9, "bytes": 1000})
    assert peer.result(msgid) is None
    assert peer.items[msgid] == [0, 1, 2, 3, 4]


# -- what the tool sees -----------------------------------------------------------------------


def test_session_and_metadata_reach_the_tool(peer):
    metadata = {"traceparent": "00-1-2-01", "x-tenant": "a b"}
    facts = peer.call("facts", session="s 1", metadata=metadata)
    assert facts["session"] == "s 1"
    assert facts["metadata"] == [["traceparent", "00-1-2-01"], ["x-tenant", "a b"]]


def test_without_them_there_is_no_session_and_no_metadata(peer):
    facts = peer.call("facts")
    assert (facts["session"], facts["metadata"]) == (None, [])


def test_variables_of_one_call_are_not_seen_by_the_next(narrow):
    for _ in range(3):
        assert narrow.call("facts")["variable"] == "nothing"


def test_a_tool_cannot_tell_the_transports_apart():
    pytest.importorskip("grpc")
    from .grpc_peer import GrpcPeer

    arguments = ("--transport", "stdio,grpc", "--port", "0", "--max-workers", "2")
    with (
        PortPeer(*ADAPTER, *arguments) as stdio,
        GrpcPeer(attach=stdio.ready["grpc_port"]) as grpc,
    ):
        options = {"session": "s", "metadata": {"k": "v"}}
        assert stdio.call("facts", **options) == grpc.call("facts", **options)
        assert stdio.call("facts") == grpc.call("facts")
        assert stdio.call("given", [1, 2.0, b"x"]) == grpc.call("given", [1, 2.0, b"x"])
        assert stdio.call("given", {"k": {1: 2}}) == grpc.call("given", {"k": {1: 2}})
        for tool, args in (("raises", ["x"]), ("unencodable", []), ("ecko", []), ("echo", [])):
            errors = [failure(peer, tool, *args) for peer in (stdio, grpc)]
            first, second = ((e.code, e.message, e.type, e.started, e.traceback) for e in errors)
            assert first == second
        assert stdio.call("$/tools") == grpc.call("$/tools")


# -- the end --------------------------------------------------------------------------------


def test_a_drain_finishes_what_was_accepted_and_refuses_the_rest(start, meeting):
    peer = start("--max-workers", "1")
    running = peer.request("meet", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    queued = peer.request("echo", ["queued"])
    wait_until(lambda: stats(peer, "queued") == 1, "one to wait")
    peer.kill(signal.SIGTERM)
    wait_until(lambda: peer.call("$/health")["status"] == "draining", "the drain")
    error = failure(peer, "meet", meeting.port, "late")
    assert type(error) is ShuttingDown
    assert (error.code, error.started) == ("unavailable", False)
    assert running not in peer.responses
    visitor.go("ended")
    assert peer.result(running) == "ended"
    assert peer.result(queued) == "queued"
    assert peer.wait() == 0
    assert meeting.names() == ["a"]


def test_a_stream_that_runs_may_end_in_a_drain(start, meeting):
    peer = start("--max-workers", "1")
    credit = {"items": 9, "bytes": 1000}
    msgid = peer.request("stream_alone", [meeting.port, "a"], stream=credit)
    wait_until(lambda: peer.items.get(msgid) == ["a"], "the item")
    peer.kill(signal.SIGTERM)
    wait_until(lambda: peer.call("$/health")["status"] == "draining", "the drain")
    meeting.visitor("a").go()
    assert peer.result(msgid) is None
    assert peer.wait() == 0


def test_a_drain_answers_what_does_not_end_within_the_grace(start, meeting):
    peer = start("--max-workers", "1", "--grace", "0.3")
    running = peer.request("meet", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    queued = peer.request("meet", [meeting.port, "b"])
    wait_until(lambda: stats(peer, "queued") == 1, "one to wait")
    peer.kill(signal.SIGTERM)
    assert error_of(peer, running).code == "unavailable"
    error = error_of(peer, queued)
    assert (error.code, error.started) == ("unavailable", False)
    assert peer.wait() == 0
    visitor.leaves()
    assert meeting.names() == ["a"]


def test_a_tool_that_looks_learns_that_the_bridge_shuts_down(start, meeting):
    peer = start("--grace", "0.2")
    msgid = peer.request("until_interrupted", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    peer.kill(signal.SIGTERM)
    assert visitor.hears(2) == "ShuttingDown unavailable True"
    error = error_of(peer, msgid)
    assert (error.code, error.started) == ("unavailable", True)
    assert peer.wait() == 0


def test_a_tool_that_returns_while_its_call_is_being_refused_changes_nothing(start, meeting):
    peer = start("--grace", "0.3")
    msgid = peer.request("ends_when_interrupted", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    peer.kill(signal.SIGTERM)
    visitor.hears()
    meeting.visitor("a has returned")
    peer.call(
        "$/ping", ["meanwhile"]
    )  # not many: soon after the grace the bridge ends, come what may
    visitor.go()
    error = error_of(peer, msgid)
    assert (error.code, error.started) == ("unavailable", True)
    assert peer.wait() == 0
    assert peer.stderr == ""


def test_an_idle_bridge_leaves_at_once_on_sigterm_and_on_sigint(start):
    for number in (signal.SIGTERM, signal.SIGINT):
        peer = start()
        assert peer.call("echo", [1]) == 1
        peer.kill(number)
        assert peer.wait() == 0

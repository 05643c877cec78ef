"""``@tool(batch=…)``: calls are gathered, and each has the answer of its own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bridge import tool
from bridge.errors import CallError
from bridge.testing import PortPeer
from tests.waiting import WAIT_S, wait_until

ADAPTER = "batch_tools:Batches"


@pytest.fixture
def peer(start) -> PortPeer:
    return start("--max-workers", "4", adapter=ADAPTER)


def held(peer: PortPeer, *numbers: int) -> list[int]:
    """A batch of one that runs, and these calls that wait for the next; their ids."""
    first = peer.request("double", [0])
    assert peer.call("wait_for_a_batch")
    ids = [peer.request("double", [number]) for number in numbers]
    wait_until(lambda: peer.call("$/health")["async_running"] == 1 + len(ids), "all to wait")
    return [first, *ids]


def code_of(peer: PortPeer, msgid: int) -> str:
    with pytest.raises(CallError) as caught:
        peer.result(msgid)
    return caught.value.code


def test_one_caller_alone_does_not_wait(peer):
    peer.call("let_go")
    assert [peer.call("double", [n], timeout_ms=20_000) for n in range(30)] == list(range(0, 60, 2))
    assert peer.call("log")["sizes"] == [1] * 30


def test_calls_that_come_meanwhile_are_a_batch_and_no_more_than_it_may_have(peer):
    ids = held(peer, *range(1, 11))
    peer.call("let_go")
    assert [peer.result(msgid) for msgid in ids] == [2 * n for n in range(11)]
    assert peer.call("log")["sizes"] == [1, 4, 4, 2]


def test_waiting_calls_occupy_no_worker(peer):
    ids = held(peer, *range(100))
    assert peer.call("echo", ["quick"]) == "quick"
    assert peer.call("$/health")["busy"] == 1
    peer.call("let_go")
    assert len({peer.result(msgid) for msgid in ids}) == 100


def test_where_others_are_expected_a_call_waits_for_them_and_not_for_ever(peer):
    ids = held(peer, 1, 2, 3)
    peer.call("let_go")
    for msgid in ids:
        peer.result(msgid)
    # four were there at once: fewer wait for a moment, and nobody comes
    assert peer.call("double", [7]) == 14
    assert peer.call("double", [8]) == 16
    assert peer.call("log")["sizes"] == [1, 3, 1, 1]


def test_one_that_is_cancelled_while_it_waits_is_in_no_batch(peer):
    ids = held(peer, 1, 2, 3)
    peer.cancel(ids[2])
    assert code_of(peer, ids[2]) == "cancelled"
    wait_until(lambda: peer.call("$/health")["async_running"] == 3, "it to leave")
    peer.call("let_go")
    assert [peer.result(msgid) for msgid in (ids[0], ids[1], ids[3])] == [0, 2, 6]
    assert peer.call("log")["sizes"] == [1, 2]


def test_deadlines_are_those_of_each_call(peer):
    first = peer.request("double", [0], timeout_ms=50)
    assert peer.call("wait_for_a_batch")
    second = peer.request("double", [1], timeout_ms=50)
    third = peer.request("double", [2])
    assert code_of(peer, first) == code_of(peer, second) == "deadline_exceeded"
    peer.call("let_go")
    assert peer.result(third) == 4
    assert peer.call("log")["sizes"] == [1, 1]


def test_each_call_has_an_error_of_its_own(peer):
    ids = [peer.request("divide", [6, number]) for number in (1, 0, 2, 0, 3)]
    assert [peer.result(ids[n]) for n in (0, 2, 4)] == [6, 3, 2]
    for n in (1, 3):
        with pytest.raises(CallError, match="division by zero") as caught:
            peer.result(ids[n])
        assert caught.value.type == "builtins.ZeroDivisionError"
    for name in ("a", "b"):
        with pytest.raises(CallError, match=f"no {name}") as caught:
            peer.call("not_found", [name])
        assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("all_fail", "1 fail"),
        ("too_few", "too_few was called for 1 calls at once and returned 0 results"),
        ("no_list", "no_list was called for 1 calls at once and returned dict"),
    ],
)
def test_a_batch_that_fails_is_an_error_of_all_its_calls_and_of_no_other(peer, name, says):
    ids = [peer.request(name, [1]) for _ in range(20)]
    for msgid in ids:
        with pytest.raises(CallError) as caught:
            peer.result(msgid)
        assert caught.value.code == "internal"
    with pytest.raises(CallError, match=says):
        peer.call(name, [1])
    assert peer.call("echo", [1]) == 1


def test_a_result_without_a_form_is_an_error_of_its_call_alone(peer):
    ids = [peer.request("no_form", [value]) for value in ("a", "odd", "b")]
    assert peer.result(ids[0]) == "a"
    with pytest.raises(CallError, match="no_form"):
        peer.result(ids[1])
    assert peer.result(ids[2]) == "b"


def test_an_array_is_taken_apart(peer):
    arrays = [np.full(3, n, np.float32) for n in range(12)]
    ids = [peer.request("rows", [array]) for array in arrays]
    for array, msgid in zip(arrays, ids, strict=True):
        assert peer.result(msgid).tolist() == (array * 2).tolist()


def test_arguments_by_name_and_defaults_are_those_of_each_call(peer):
    params = [[1], [1, 2], {"a": 1, "c": 3}, {"b": 2, "a": 1}]
    ids = [peer.request("with_defaults", each) for each in params]
    expected = [[1, 5, 7], [1, 2, 7], [1, 5, 3], [1, 2, 7]]
    assert [peer.result(msgid) for msgid in ids] == expected
    with pytest.raises(CallError, match="missing argument 'a'"):
        peer.call("with_defaults", {"b": 1})


def test_annotations_are_those_of_each_call(peer):
    (double,) = [each for each in peer.call("$/tools") if each["name"] == "double"]
    assert double["parameters"][0]["annotation"] == "int"
    assert double["schema"]["properties"] == {"numbers": {"type": "integer"}}
    assert double["returns"] == {"type": "integer"}
    with pytest.raises(CallError) as caught:
        peer.call("double", ["no number"])
    assert caught.value.code == "invalid_argument"


def test_an_asynchronous_function_can_be_called_for_a_batch(peer):
    ids = [peer.request("later", [n]) for n in range(30)]
    assert [peer.result(msgid) for msgid in ids] == list(range(30))


def test_as_many_batches_run_at_once_as_may(peer):
    ids = [peer.request("two_at_once", [n]) for n in range(20)]
    assert peer.call("wait_for_a_batch")
    assert peer.call("wait_for_a_batch")
    peer.call("let_go")
    assert [peer.result(msgid) for msgid in ids] == list(range(20))
    assert peer.call("log")["most"] == 2


def test_there_is_no_context_of_one_call(peer):
    assert peer.call("has_no_context", [1]) == "none"


def test_with_one_worker_it_is_the_same(start):
    peer = start("--max-workers", "1", adapter=ADAPTER)
    ids = [peer.request("later", [n]) for n in range(30)]
    ids += [peer.request("divide", [n, 1]) for n in range(30)]
    assert [peer.result(msgid) for msgid in ids] == [*range(30), *range(30)]


def test_tools_that_must_not_run_at_once_are_called_for_one_call(start):
    peer = start("--max-workers", "1", adapter="batch_tools:OneAtATime")
    for name in ("double", "double_later"):
        ids = [peer.request(name, [n]) for n in range(30)]
        assert [peer.result(msgid) for msgid in ids] == [2 * n for n in range(30)]


def test_at_the_end_every_call_has_its_answer(start):
    peer = start("--max-workers", "2", "--grace", "0.2", adapter=ADAPTER)
    ids = held(peer, *range(1, 9))
    ended = peer.request("$/shutdown")
    peer.result(ended)
    for msgid in ids:
        with pytest.raises(CallError) as caught:
            peer.result(msgid)
        assert caught.value.code == "unavailable"
    assert peer.wait(WAIT_S) == 0


def test_the_example_of_the_page_works(bridge_adapter, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "batching.md").read_text()
    (source,) = re.findall(r"```python\n# python/embeddings\.py\n(.*?)```", page, re.S)
    (tmp_path / "embeddings.py").write_text(source)
    adapter = bridge_adapter("embeddings:Embeddings", app_dir=tmp_path)
    assert adapter.call("embed", [np.ones(256, np.float32)]).shape == (64,)


# -- what cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        ("WantsContext", "takes_it cannot be called for a batch: it takes the context of one call"),
        ("HasNoParameter", "nothing cannot be called for a batch: it has no parameter"),
        ("Streams", "items cannot be called for a batch: it streams"),
        ("TakesAnything", "anything cannot be called for a batch: it has *args or **kwargs"),
    ],
)
def test_what_cannot_be_called_for_a_batch_is_explained_at_the_start(start, adapter, says):
    peer = start(adapter=f"batch_tools:{adapter}", wait_until_ready=False)
    assert peer.wait(WAIT_S) == 1
    assert says in peer.stderr


@pytest.mark.parametrize(
    "options",
    [
        *({"batch": value} for value in (0, -1, 1.5, True, "8")),
        *({"batch": 2, "wait_ms": value} for value in (-1, float("nan"), 1e9, "2")),
        {"batch": 2, "interruptible": True},
        {"batch": 2, "validate": True},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"batch|wait_ms"):
        tool(**options)

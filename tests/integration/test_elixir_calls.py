"""Tools call functions of the program that called them, which may call tools again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.errors import CallError, Cancelled, DeadlineExceeded, PoolFull
from tests.waiting import passed


class World:
    """The functions of the program, and what they have seen."""

    def __init__(self) -> None:
        self.peer = None
        self.entered, self.leave = threading.Event(), threading.Event()
        self.made = 0

    def add(self, a, b):
        return a + b

    def named(self, args):
        return sorted(args.items())

    def fail(self):
        raise ValueError("no such thing")

    def hang(self):
        self.entered.set()
        self.leave.wait()

    def count_to(self, number):
        for self.made in range(1, number + 1):
            yield self.made

    def for_ever(self):
        while True:
            self.made += 1
            yield self.made

    def descend(self, depth):
        return self.peer.call("fathom", [depth])

    def descend_async(self, depth):
        return self.peer.call("fathom_async", [depth])

    def again(self, tool):
        return self.peer.call(tool, ["add", [1, 2]])

    def both(self):
        first, second = (self.peer.request("echo", [value]) for value in ("a", "b"))
        return [self.peer.result(first), self.peer.result(second)]


NAMES = [name for name in vars(World) if not name.startswith("_")]


@pytest.fixture
def started(bridge_adapter):
    def start(*arguments, **options):
        world = World()
        functions = {name: getattr(world, name) for name in NAMES}
        world.peer = bridge_adapter(
            "elixir_tools:Asks", *arguments, "--grace", "1", functions=functions, **options
        )
        return world, world.peer

    return start


def test_a_tool_asks_and_gets_what_is_answered(started):
    _, peer = started("--max-workers", "2")
    assert peer.call("ask", ["add", [1, 2]]) == 3
    assert peer.call("ask_async", ["add", [1, 2]]) == 3
    assert peer.call("ask_without_context", ["add", [1, 2]]) == 3
    assert peer.call("ask_from_a_thread", ["add", [1, 2]]) == [3]
    assert peer.call("ask_named", ["named", {"b": 1, "a": [2]}]) == [["a", [2]], ["b", 1]]
    assert set(peer.call("offered")) == set(NAMES)
    peer.call("send", ["pid", {"a": 1}])
    assert peer.notification("$/send") == ["pid", {"a": 1}]


def test_what_fails_there_fails_here_and_can_be_caught(started):
    _, peer = started()
    assert peer.call("caught", ["fail"]) == [
        *("internal", "error", "builtins.ValueError", "Elixir's fail: no such thing")
    ]
    assert peer.call("caught", ["nothing"])[0] == "not_found"
    with pytest.raises(CallError, match="Elixir's fail: no such thing") as caught:
        peer.call("ask", ["fail", []])
    assert caught.value.started
    with pytest.raises(CallError, match=r"Elixir's add: .*missing 1 required"):
        peer.call("ask", ["add", [1]])


def test_a_stream_is_made_as_it_is_taken(started):
    world, peer = started()
    assert peer.call("total", ["count_to", [1000]]) == 500500
    assert peer.call("total", ["count_to", [0]]) == 0
    world.made = 0
    assert peer.call("first", ["for_ever", 3]) == [1, 2, 3]
    assert world.made < 200
    with pytest.raises(CallError, match="no such thing"):
        peer.call("total", ["fail", []])


def test_the_end_of_the_call_ends_what_it_asked_for(started):
    world, peer = started("--max-workers", "2")
    call = peer.request("ask", ["hang", []])
    passed(world.entered)
    peer.cancel(call)
    with pytest.raises(Cancelled):
        peer.result(call)
    peer.notification("$/cancelRequest")
    with pytest.raises(DeadlineExceeded):
        peer.call("ask", ["hang", []], timeout_ms=50)
    with pytest.raises(DeadlineExceeded):
        peer.call("ask_async", ["hang", []], timeout_ms=50)
    with pytest.raises(DeadlineExceeded, match="Elixir's hang did not answer in time"):
        peer.call("ask_in_time", ["hang", 0.05])
    # no worker is held by any of them
    assert [peer.call("ask", ["add", [n, n]]) for n in range(4)] == [0, 2, 4, 6]
    world.leave.set()


def test_a_blocking_call_in_an_async_tool_is_refused(started):
    _, peer = started()
    with pytest.raises(CallError, match=r"would hold up all async tools.*await ctx.acall_elixir"):
        peer.call("ask_in_the_way")


@pytest.mark.parametrize("workers", [1, 2])
def test_nested_calls_need_no_further_worker(started, workers):
    _, peer = started("--max-workers", str(workers))
    assert peer.call("fathom", [20]) == 20
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda _: peer.call("fathom", [3]), range(200))) == [3] * 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nested_calls_of_async_tools_need_no_worker(started, workers):
    _, peer = started("--max-workers", workers)
    assert peer.call("fathom_async", [20]) == 20


def test_a_chain_for_which_there_is_no_room_is_refused(started):
    _, peer = started("--max-async", "2")
    with pytest.raises(CallError, match=r"it might wait for itself \(--max-async\)"):
        peer.call("fathom_async", [20])
    assert peer.call("ask_async", ["add", [1, 2]]) == 3


def test_a_thread_of_a_tool_that_waits_cannot_run_what_is_made_within(started):
    _, peer = started("--max-workers", "1")
    with pytest.raises(CallError, match=r"it might wait for itself \(--max-workers\)"):
        peer.call("ask_from_a_thread", ["descend", [0]])


def test_nested_calls_of_one_function_run_beside_each_other_or_one_by_one(started):
    _, peer = started("--max-workers", "1")
    assert peer.call("ask", ["both", []]) == ["a", "b"]


@pytest.mark.parametrize("how", ["call", "stream"])
def test_after_a_request_that_could_not_be_made_nested_calls_run_as_before(started, how):
    _, peer = started("--max-workers", "1")
    assert peer.call("ask_after_a_refusal", [how, "descend", [2]], timeout_ms=5000) == 2


def test_nested_calls_run_while_a_stream_from_elixir_is_being_read(started):
    _, peer = started("--max-workers", "1")
    asked = ["count_to", "descend", [2]]
    assert peer.call("ask_for_each", asked, timeout_ms=5000) == [2, 2, 2]


def test_a_nested_call_that_would_wait_for_itself_is_refused(started):
    _, peer = started("--max-workers", "4")
    with pytest.raises(PoolFull, match=r"ask_in_turn.*it might wait for itself") as caught:
        peer.call("ask_in_turn", ["again", ["ask_in_turn"]])
    assert caught.value.code == "resource_exhausted"
    assert peer.call("ask_in_turn", ["again", ["ask"]]) == 3


def test_without_functions_a_tool_is_told_so(bridge_adapter):
    peer = bridge_adapter("elixir_tools:Asks")
    with pytest.raises(CallError, match="no way back to Elixir") as caught:
        peer.call("ask", ["add", [1, 2]])
    assert caught.value.code == "failed_precondition"


def test_the_end_of_the_program_ends_what_waits_for_it(started):
    world, peer = started()
    peer.request("ask", ["hang", []])
    passed(world.entered)
    peer.close()
    assert peer.wait() == 0
    world.leave.set()

"""The showcase: what each tool does, and that eight threads at once change nothing about it."""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np
import pytest

from bridge import Cancelled, Context, InvalidParams
from bridge.adapter import bind_tools
from bridge.adapters.showcase import Showcase
from tests.tool_bench import Bench
from tests.waiting import WAIT_S, in_thread, join

THREADS = 8
#: Every tool that works, with several arguments; each is called by every thread.
PLAN: list[tuple[str, dict[str, Any]]] = [
    ("matrix_multiply", {"size": 1}),
    ("matrix_multiply", {"size": 96}),
    ("compute_intensive", {"points": 7}),
    ("compute_intensive", {"points": 150_000}),
    ("batch_process", {"items": list(range(25)), "batch_size": 4}),
    ("stress_test", {"rounds": 40, "samples": 10, "seed": 1}),
    ("stress_test", {"rounds": 40, "samples": 10, "seed": 2}),
]


class Call:
    """What a context needs to know of its call."""

    key, session, metadata, deadline, tool_name = 1, None, {}, None, "tool"

    def __init__(self) -> None:
        self.interruption: Exception | None = None
        self.steps: list[tuple[float, float | None]] = []

    def progress(self, done: float, total: float | None, text: str | None) -> None:
        self.steps.append((done, total))


def call(adapter: Showcase, tool: str, /, **arguments: Any) -> Any:
    """Call a tool as the bridge does, with a context if it wants one."""
    if bind_tools(adapter)[tool].wants_context:
        arguments["ctx"] = Context(Call())
    return getattr(adapter, tool)(**arguments)


# -- each tool ------------------------------------------------------------------------------


def test_it_has_the_six_tools_each_described_and_with_examples_that_work():
    adapter = Showcase()
    tools = bind_tools(adapter)
    assert set(tools) == {
        *("matrix_multiply", "compute_intensive", "batch_process", "stress_test"),
        *("get_adapter_stats", "get_history"),
    }
    bench = Bench(*(tool.function for tool in tools.values()))
    for tool in tools.values():
        assert tool.description
        assert tool.examples
        for example in tool.examples:
            bench.result(bench.request(tool.name, example, None, None))
    assert call(adapter, "get_adapter_stats")["finished"] == 7


def test_matrix_multiply_uses_a_matrix_that_nobody_can_write():
    adapter = Showcase()
    corner = adapter._matrix[:3, :3]
    expected = sum(float(x) ** 2 for x in corner.flat)
    result = adapter.matrix_multiply(3)
    assert (result["size"], result["trace"]) == (3, expected)
    with pytest.raises(ValueError, match="read-only"):
        adapter._matrix[0, 0] = 1


def test_compute_intensive_finds_pi_whatever_its_buffer_held():
    adapter = Showcase()
    assert call(adapter, "compute_intensive", points=1) == 4 / 1.25
    assert math.isclose(call(adapter, "compute_intensive", points=200_000), math.pi, rel_tol=1e-10)
    assert call(adapter, "compute_intensive", points=1) == 4 / 1.25


def test_each_worker_has_its_own_buffer_and_keeps_it():
    adapter, buffers = Showcase(), []

    def work():
        call(adapter, "compute_intensive", points=1)
        first = adapter.get_thread_local("buffer")
        call(adapter, "compute_intensive", points=1)
        buffers.append((first, adapter.get_thread_local("buffer")))

    for _ in range(2):
        join(in_thread(work))
    (a, a_again), (b, b_again) = buffers
    assert (a is a_again, b is b_again, a is b) == (True, True, False)


@pytest.mark.parametrize("items", [[1, 2, 3.5, 4, 5], np.array([1, 2, 3.5, 4, 5], dtype="f4")])
def test_batch_process_describes_each_batch_and_tells_its_progress(items):
    run = Call()
    batches = Showcase().batch_process(Context(run), items, batch_size=2)
    assert [batch["mean"] for batch in batches] == [1.5, 3.75, 5.0]
    assert [batch["deviation"] for batch in batches] == [0.5, 0.25, 0.0]
    assert run.steps == [(1, 3), (2, 3), (3, 3)]


def test_batch_process_of_nothing_is_nothing():
    assert call(Showcase(), "batch_process", items=[]) == []


def test_stress_test_counts_the_same_numbers_for_the_same_seed():
    adapter = Showcase()
    once, again, other = (
        call(adapter, "stress_test", rounds=5, samples=20, seed=seed) for seed in (3, 3, 4)
    )
    assert once == again != other
    assert sum(once) == 100
    assert adapter.get_adapter_stats()["histogram"] == [
        sum(counts) for counts in zip(once, again, other, strict=True)
    ]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("compute_intensive", {"points": 10**9}),
        ("batch_process", {"items": [1, 2]}),
        ("stress_test", {}),
    ],
)
def test_a_cancelled_call_stops_and_is_not_in_the_history(tool, arguments):
    adapter, run = Showcase(), Call()
    run.interruption = Cancelled("cancelled")
    with pytest.raises(Cancelled):
        getattr(adapter, tool)(Context(run), **arguments)
    stats = adapter.get_adapter_stats()
    assert (stats["finished"], stats["active_requests"]) == (0, 0)


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("matrix_multiply", {"size": 0}, "size must be a whole number from 1 to 512, got 0"),
        ("matrix_multiply", {"size": 513}, "from 1 to 512, got 513"),
        ("matrix_multiply", {"size": 2.0}, "got 2.0"),
        ("matrix_multiply", {"size": True}, "got True"),
        ("matrix_multiply", {"size": "64"}, "got '64'"),
        ("compute_intensive", {"points": 0}, "points must be .* from 1"),
        ("compute_intensive", {"points": None}, "got None"),
        ("batch_process", {"items": "text"}, "items must be a flat list of numbers"),
        ("batch_process", {"items": [1, "b"]}, "items must be a flat list of numbers"),
        ("batch_process", {"items": [1, None]}, "items must be a flat list of numbers"),
        ("batch_process", {"items": [[1, 2], [3]]}, "items must be a flat list of numbers"),
        ("batch_process", {"items": [[1, 2], [3, 4]]}, "items must be a flat list of numbers"),
        ("batch_process", {"items": 5}, "items must be a flat list of numbers"),
        ("batch_process", {"items": [1], "batch_size": 0}, "batch_size must be .* from 1"),
        ("stress_test", {"rounds": 0}, "rounds must be .* from 1"),
        ("stress_test", {"samples": -1}, "samples must be .* from 1"),
        ("stress_test", {"seed": -1}, "seed must be .* from 0"),
        ("get_history", {"offset": -1}, "offset must be .* from 0"),
        ("get_history", {"offset": 2**70}, "offset must be .* from 0"),
        ("get_history", {"limit": 0}, "limit must be .* from 1 to 100, got 0"),
        ("get_history", {"limit": 101}, "limit must be .* from 1 to 100, got 101"),
    ],
)
def test_bad_input_is_refused_by_name_and_changes_nothing(tool, arguments, message):
    adapter = Showcase()
    with pytest.raises(InvalidParams, match=message):
        call(adapter, tool, **arguments)
    stats = adapter.get_adapter_stats()
    assert (stats["finished"], sum(stats["histogram"])) == (0, 0)


# -- history --------------------------------------------------------------------------------


def with_history(length: int) -> Showcase:
    adapter = Showcase()
    for _ in range(length):
        adapter.matrix_multiply(1)
    return adapter


def page(adapter: Showcase, **arguments: Any) -> tuple[list[int], int | None]:
    found = adapter.get_history(**arguments)
    return [entry["number"] for entry in found["entries"]], found["next_offset"]


def test_history_comes_in_pages():
    adapter = with_history(5)
    assert page(adapter, limit=2) == ([0, 1], 2)
    assert page(adapter, offset=2, limit=2) == ([2, 3], 4)
    assert page(adapter, offset=4, limit=2) == ([4], None)
    assert page(adapter, offset=3, limit=2) == ([3, 4], None)
    assert page(adapter, offset=5) == ([], None)
    assert page(adapter, offset=10**12) == ([], None)
    assert page(adapter, limit=100) == ([0, 1, 2, 3, 4], None)
    assert adapter.get_history()["entries"][0] == {
        "number": 0,
        "tool": "matrix_multiply",
        "worker": threading.current_thread().name,
    }


def test_an_empty_history_is_one_empty_page():
    assert Showcase().get_history() == {"entries": [], "total": 0, "next_offset": None}


def test_the_oldest_entries_are_forgotten_and_numbers_stay():
    adapter = with_history(1003)
    assert page(adapter, limit=2) == ([3, 4], 5), "begins with the oldest that is kept"
    assert page(adapter, offset=4, limit=1) == ([4], 5)
    assert page(adapter, offset=1001) == ([1001, 1002], None)
    assert adapter.get_history()["total"] == 1003


def test_a_page_does_not_change_when_calls_go_on():
    adapter = with_history(2)
    found = adapter.get_history()
    adapter.matrix_multiply(1)
    assert len(found["entries"]) == 2


# -- many threads ---------------------------------------------------------------------------


@pytest.fixture
def _switching_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def walk(adapter: Showcase) -> list[int]:
    """The numbers of the whole history, page by page."""
    numbers, offset = [], 0
    while offset is not None:
        found, offset = page(adapter, offset=offset, limit=7)
        numbers += found
    return numbers


@pytest.mark.usefixtures("_switching_often")
def test_eight_threads_get_what_one_gets_and_nothing_is_lost():
    serial = Showcase()
    expected = [call(serial, tool, **arguments) for tool, arguments in PLAN]
    shared, barrier = Showcase(), threading.Barrier(THREADS, timeout=WAIT_S)
    results: list[list[Any]] = [[] for _ in range(THREADS)]
    pages: list[list[int]] = []

    def work(mine: int):
        # each begins with another tool, so that all of them meet
        order = [(mine + step) % len(PLAN) for step in range(len(PLAN))]
        found = {}
        barrier.wait()
        for index in order:
            tool, arguments = PLAN[index]
            found[index] = call(shared, tool, **arguments)
            pages.append(walk(shared))
            stats = shared.get_adapter_stats()
            assert stats["finished"] <= THREADS * len(PLAN)
        results[mine] = [found[index] for index in range(len(PLAN))]

    join(*(in_thread(work, mine) for mine in range(THREADS)))
    assert results == [expected] * THREADS
    for numbers in pages:
        assert numbers == list(range(len(numbers))), "no gap, nothing twice"
    alone, together = serial.get_adapter_stats(), shared.get_adapter_stats()
    assert together["finished"] == together["total_requests"] == THREADS * len(PLAN)
    assert together["active_requests"] == 0
    assert together["threads_used"] == THREADS
    assert together["histogram"] == [THREADS * count for count in alone["histogram"]]
    assert together["requests_by_method"] == {
        tool: THREADS * count for tool, count in alone["requests_by_method"].items()
    }
    tools = [entry["tool"] for entry in shared.get_history(limit=100)["entries"]]
    assert {tool: tools.count(tool) for tool in tools} == together["requests_by_method"]


@pytest.mark.usefixtures("_switching_often")
def test_eight_threads_that_do_little_but_write_lose_nothing():
    adapter, barrier, calls = Showcase(), threading.Barrier(THREADS, timeout=WAIT_S), 300

    def work():
        barrier.wait()
        call(adapter, "stress_test", rounds=1000, samples=1)
        for _ in range(calls):
            adapter._finish("matrix_multiply")

    join(*(in_thread(work) for _ in range(THREADS)))
    stats = adapter.get_adapter_stats()
    assert sum(stats["histogram"]) == THREADS * 1000
    assert stats["finished"] == THREADS * (calls + 1)
    last = page(adapter, offset=stats["finished"] - 100, limit=100)
    assert last == (list(range(stats["finished"] - 100, stats["finished"])), None)


def test_eight_workers_of_the_bridge_serve_it():
    adapter = Showcase()
    functions = [tool.function for tool in bind_tools(adapter).values()]
    bench = Bench(*functions, max_workers=THREADS)
    keys = [bench.request(tool, dict(arguments), None, None) for tool, arguments in PLAN * THREADS]
    serial = Showcase()
    expected = [call(serial, tool, **arguments) for tool, arguments in PLAN] * THREADS
    assert [bench.result(key) for key in keys] == expected
    assert walk(adapter) == list(range(len(keys)))

"""What the dispatcher tells about itself: health, counts, and that they add up."""

import threading
import time
import weakref

import pytest

from bridge import tool
from tests.tool_bench import Bench, Unencodable
from tests.waiting import passed, wait_until


class Busy:
    """A bench with one worker whose tool ``block`` holds it, and others that end at once."""

    def __init__(self, max_workers=1):
        self.started, self.leave = threading.Event(), threading.Event()

        @tool
        def block():
            self.started.set()
            passed(self.leave)

        @tool
        def quick(value=None):
            return value

        @tool
        def fails():
            raise ValueError("as expected")

        self.bench = Bench(block, quick, fails, max_workers=max_workers, max_queue=10)

    def block(self):
        key = self.bench.start("block")
        passed(self.started)
        return key


@pytest.fixture
def busy():
    subject = Busy()
    yield subject
    subject.leave.set()


def test_an_idle_bridge_serves_and_has_room():
    health = Busy().bench.dispatcher.health()
    assert health.pop("rss_bytes") > 1 << 20
    assert health == {
        "status": "serving",
        "in_flight": 0,
        "queued": 0,
        "max_queue": 10,
        "max_workers": 1,
        "busy": 0,
        "abandoned": 0,
        "max_async": 0,
        "async_running": 0,
        "async_abandoned": 0,
        "python": {},
    }


def test_health_tells_what_runs_waits_and_is_abandoned(busy):
    running = busy.block()
    busy.bench.start("quick")
    health = busy.bench.dispatcher.health()
    assert (health["in_flight"], health["queued"], health["busy"], health["abandoned"]) == (2, 1, 1, 0)  # fmt: skip
    busy.bench.dispatcher.cancel(running)
    health = busy.bench.dispatcher.health()
    assert (health["in_flight"], health["queued"], health["busy"], health["abandoned"]) == (1, 1, 1, 1)  # fmt: skip


def test_a_cancelled_call_leaves_the_queue_at_once(busy):
    busy.block()
    queued = busy.bench.start("quick")
    busy.bench.dispatcher.cancel(queued)
    assert busy.bench.dispatcher.health()["queued"] == 0


def test_health_tells_that_the_bridge_drains(busy):
    busy.bench.dispatcher.drain(0)
    assert busy.bench.dispatcher.health()["status"] == "draining"


def test_workers_are_described_with_what_they_run(busy):
    key = busy.block()
    (worker,) = busy.bench.dispatcher.stats()["workers"]
    assert worker["tool"] == "block"
    assert worker["abandoned"] is False
    assert worker["busy_s"] > 0
    busy.bench.dispatcher.cancel(key)
    assert busy.bench.dispatcher.stats()["workers"][0]["abandoned"] is True
    busy.leave.set()
    busy.bench.settle()
    (worker,) = busy.bench.dispatcher.stats()["workers"]
    assert (worker["tool"], worker["abandoned"], worker["calls"]) == (None, False, 1)


def test_calls_errors_and_interruptions_add_up(busy):
    bench = busy.bench
    for _ in range(5):
        bench.start("quick")
    for _ in range(3):
        bench.start("fails")
    bench.start("quick", Unencodable())
    bench.settle()
    busy.block()
    for key in [bench.start("quick") for _ in range(2)]:
        bench.dispatcher.cancel(key)
    bench.error(bench.start("quick", timeout_s=0.0))
    busy.leave.set()
    bench.settle()
    stats = bench.dispatcher.stats()
    assert stats["calls"] == 10
    assert stats["errors"] == 4
    assert stats["interrupted"] == {"cancelled": 2, "deadline_exceeded": 1}
    tools = stats["tools"]
    assert {name: (t["calls"], t["errors"]) for name, t in tools.items()} == {
        "block": (1, 0),
        "quick": (6, 1),
        "fails": (3, 3),
    }
    assert sum(worker["calls"] for worker in stats["workers"]) == stats["calls"]
    for counted in tools.values():
        for histogram in (counted["queue_wait"], counted["run_time"]):
            assert histogram["count"] == sum(histogram["below_us"].values()) == counted["calls"]


def test_calls_in_flight_are_counted_by_tool(busy):
    busy.block()
    for _ in range(3):
        busy.bench.start("quick")
    stats = busy.bench.dispatcher.stats()
    assert {name: t["in_flight"] for name, t in stats["tools"].items()} == {"block": 1, "quick": 3, "fails": 0}  # fmt: skip


def test_counts_of_many_workers_and_callers_add_up():
    subject = Busy(max_workers=4)
    bench, per_caller = subject.bench, 50

    def call(first):
        for n in range(per_caller):
            # one at a time for each caller, so that no call is refused
            bench.result(bench.start("quick", n, key=first + n))

    callers = [threading.Thread(target=call, args=(1000 * n,)) for n in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    bench.settle()
    stats = bench.dispatcher.stats()
    assert stats["calls"] == stats["tools"]["quick"]["run_time"]["count"] == 4 * per_caller
    assert stats["errors"] == 0
    assert bench.dispatcher.health()["in_flight"] == 0


def test_times_are_those_of_waiting_and_running(busy):
    began = time.monotonic()
    busy.block()
    busy.bench.start("quick")
    while time.monotonic() < began + 0.01:
        pass
    busy.leave.set()
    busy.bench.settle()
    elapsed = time.monotonic() - began
    tools = busy.bench.dispatcher.stats()["tools"]
    assert tools["quick"]["queue_wait"]["total_s"] > 0
    assert 0 < tools["block"]["run_time"]["total_s"] <= elapsed
    assert busy.bench.dispatcher.stats()["uptime_s"] >= elapsed


def test_no_call_waits_less_than_no_time():
    """Forced: a call that arrives when its worker has read the clock for the end of the last one."""

    class Argument:
        pass

    subject = Busy()
    bench, argument = subject.bench, Argument()

    def arrive():
        time.sleep(0.002)  # so that a negative wait could not be rounded to none
        bench.start("fails", key=77)

    weakref.finalize(argument, arrive)
    bench.start("block")
    passed(subject.started)
    bench.start("quick", [argument])
    bench.peer.send_result = lambda key, result: bench.peer.record("result", key, None)
    del argument
    subject.leave.set()
    bench.error(77)
    bench.settle()
    assert bench.dispatcher.stats()["tools"]["fails"]["queue_wait"]["total_s"] >= 0


def test_tools_are_described_in_the_order_of_their_names():
    described = Busy().bench.dispatcher.describe_tools()
    assert [tool["name"] for tool in described] == ["block", "fails", "quick"]


def test_waiting_for_idle_workers_gives_up_in_time(busy):
    busy.block()
    assert busy.bench.dispatcher.wait_until_idle(0.01) is False
    busy.leave.set()
    wait_until(lambda: busy.bench.dispatcher.wait_until_idle(1.0))

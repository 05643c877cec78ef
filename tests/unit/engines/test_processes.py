"""Replicas that cannot be had, or have not heard of a call: nothing of them stays, and others come."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import Any

import pytest

from bridge.engines import engine as engine_module
from bridge.engines import processes as module
from bridge.engines.engine import Engine
from bridge.engines.interfaces import Cluster, Lost, Place, Work
from bridge.engines.processes import ProcessCluster, TaskPlace
from bridge.errors import AdapterError, InvalidParams


def make_nothing() -> Any:
    raise AssertionError("no replica is to get so far")


def work(params: list[Any]) -> Work:
    return Work(1, "tool", params, None, None, {}, False, False)


def refuse(*args: Any, **options: Any) -> Any:
    raise BlockingIOError(11, "Resource temporarily unavailable")


def no_thread(thread: Any) -> bool:
    return False


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("lacks", ["processes", "threads"])
def test_a_process_that_cannot_be_started_leaves_nothing_open(monkeypatch, lacks):
    if lacks == "processes":
        monkeypatch.setattr(subprocess, "Popen", refuse)
    else:
        monkeypatch.setattr(module, "start_thread", no_thread)

    async def try_often() -> int:
        cluster = ProcessCluster(make_nothing, make_nothing)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(AdapterError, match="can be started for a replica"):
                cluster.new_place()
        assert cluster.places == set()
        return len(os.listdir("/proc/self/fd")) - before

    assert asyncio.run(try_often()) == 0


class Fleeting(Place):
    """A replica that is lost when it is told so. ``refused``: it has been asked for what cannot be sent."""

    def __init__(self) -> None:
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ready(self) -> None:
        pass

    def call(self, work: Work) -> Any:
        if self.gone.done():
            raise Lost("it is gone", started=False)
        if work.params:
            raise InvalidParams("the arguments cannot be sent", started=False)
        return self._events()

    async def _events(self) -> Any:
        yield ("result", None)

    def cancel(self, key: int) -> None:
        pass

    async def lost(self) -> str:
        return await self.gone

    def end(self) -> None:
        pass


class Scarce(Cluster):
    """Starts replicas, but not always. ``refusals``: how often it will not."""

    def __init__(self) -> None:
        self.refusals = 0
        self.made: list[Fleeting] = []

    async def connect(self) -> None:
        pass

    def new_place(self) -> Fleeting:
        if self.refusals:
            self.refusals -= 1
            raise AdapterError("no process can be started for a replica")
        self.made.append(Fleeting())
        return self.made[-1]

    new_task_place = new_place

    def tasks(self, needs: Any) -> Place:
        return TaskPlace(self)  # type: ignore[arg-type]

    def close(self) -> None:
        pass


def test_where_no_replica_can_be_started_it_is_tried_again(monkeypatch):
    monkeypatch.setattr(engine_module, "_FIRST_PAUSE_S", 0.001)

    async def lose_one() -> tuple[int, int, int]:
        cluster = Scarce()
        engine = Engine(cluster, 1, 1)
        await engine.start()
        cluster.refusals = 2
        cluster.made[0].gone.set_result("it was killed")
        async with asyncio.timeout(20):
            while engine.report()["restarted"] == 0:
                await asyncio.sleep(0.001)
        report = engine.report()
        await engine.close()
        return report["replicas"], cluster.refusals, len(cluster.made)

    assert asyncio.run(lose_one()) == (1, 0, 2)


def test_a_task_that_could_not_be_sent_leaves_its_process_to_the_next():
    async def ask() -> int:
        cluster = Scarce()
        place = cluster.tasks({})
        for _ in range(3):
            with pytest.raises(InvalidParams):
                await anext(place.call(work([object()])))
            assert await anext(place.call(work([]))) == ("result", None)
        return len(cluster.made)

    assert asyncio.run(ask()) == 1


def test_a_task_for_which_there_is_no_process_is_answered():
    async def ask() -> None:
        cluster = Scarce()
        cluster.refusals = 1
        place = cluster.tasks({})
        with pytest.raises(Exception, match="no process can be started"):
            await asyncio.wait_for(anext(place.call(work([]))), 20)
        assert await anext(place.call(work([]))) == ("result", None)

    asyncio.run(ask())

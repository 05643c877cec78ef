"""Sends calls to replicas, each to one that has room, and replaces those that are lost.

Guarantees:

- A replica has at most ``concurrency`` calls; others wait here, as tasks of the event loop, and occupy
  no worker.
- A call that waits has not started, and says so; one that was sent may have begun.
- A call whose replica is lost is ``unavailable``; one of an idempotent tool is sent once more, to
  another one, up to ``_ATTEMPTS`` times in all.
- A place is taken until the call there has really ended, also if nobody awaits it any more.

Everything runs on the thread of the event loop: there is no lock.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from ..errors import AdapterError, CallError, Cancelled, ShuttingDown
from ..log import logger
from ..running_call import RunningCall, running_call
from ..tool import Tool
from .interfaces import Cluster, Event, Lost, Place, Work

_ATTEMPTS = 3
#: How long to wait before a replica that could not be started is tried again, at first and at most.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


class _Replica:
    """A place, and what is known of it here."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.calls = 0
        self.turn = 0
        self.is_lost = False


class Engine:
    """Runs the calls of tools elsewhere. All of it on the thread of the event loop.

    Args:
        cluster: where.
        replicas: how many there shall be; 0: none, there are only tasks.
        concurrency: how many calls each may have.
    """

    def __init__(self, cluster: Cluster, replicas: int, concurrency: int) -> None:
        self._cluster = cluster
        self._count = replicas
        self._concurrency = concurrency
        self._replicas: list[_Replica] = []
        self._waiting: deque[asyncio.Future[_Replica]] = deque()
        #: Why there is no replica; None: there are some, or they are starting.
        self._fault: str | None = None
        self._starting = 0
        self._closed = False
        self._keys = itertools.count(1)
        self._turns = itertools.count(1)
        self._watchers: set[asyncio.Task[Any]] = set()
        self._lost_replicas = self._lost = self._restarted = self._retried = self._tasks = 0

    async def start(self) -> None:
        """Start all replicas, and wait for them. Raises ``AdapterError``."""
        await self._cluster.connect()
        starting = [self._cluster.new_place() for _ in range(self._count)]
        try:
            await asyncio.gather(*(place.ready() for place in starting))
        except Lost as error:
            raise AdapterError(f"a replica was lost as it started: {error}") from error
        for place in starting:
            self._add(place)

    async def close(self) -> None:
        """End all replicas."""
        self._closed = True
        for watcher in self._watchers:
            watcher.cancel()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(ShuttingDown("the bridge is shutting down", started=False))
        self._cluster.close()

    def report(self) -> dict[str, Any]:
        """What ``$/stats`` says of it. Any thread."""
        replicas = list(self._replicas)
        return {
            "replicas": len(replicas),
            "wanted": self._count,
            "running": sum(replica.calls for replica in replicas) + self._tasks,
            "waiting": len(self._waiting),
            "lost": self._lost,
            "lost_replicas": self._lost_replicas,
            "restarted": self._restarted,
            "retried": self._retried,
        }

    def remote(self, tool: Tool, needs: Mapping[str, float] | None) -> Tool:
        """The same tool, for callers; its function runs in a replica, or as a task.

        Args:
            tool: which.
            needs: what a task needs, by the name of the resource; None: it runs in a replica.
        """
        tasks = None if needs is None else self._cluster.tasks(needs)

        def work(running: RunningCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Work:
            params: list[Any] | dict[str, Any] = list(args)
            if kwargs:
                names = (parameter.name for parameter in tool.parameters)
                params = {**dict(zip(names, args, strict=False)), **kwargs}
            left = None if running.deadline is None else running.deadline - time.monotonic()
            return Work(
                *(next(self._keys), tool.name, params, left, running.session, running.metadata),
                *(tool.streaming, tool.streaming or tool.wants_context),
            )

        async def call(*args: Any, **kwargs: Any) -> Any:
            running: Any = running_call.get()
            events = self._events(running, lambda: work(running, args, kwargs), tasks, tool)
            async for event in events:
                if event[0] == "result":
                    await events.aclose()
                    return event[1]
            raise AssertionError("a call without an outcome")

        async def stream(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            running: Any = running_call.get()
            events = self._events(running, lambda: work(running, args, kwargs), tasks, tool)
            try:
                async for event in events:
                    if event[0] == "item":
                        yield event[1]
                    else:
                        running.returned = event[1]
            finally:
                await events.aclose()

        return tool.calling(
            stream if tool.streaming else call,
            is_async=True, wants_context=False, checks=None, conversion=None, batch=None,
        )  # fmt: skip

    # -- one call ---------------------------------------------------------------------------

    async def _events(
        self, running: Any, make_work: Callable[[], Work], tasks: Place | None, tool: Tool
    ) -> AsyncGenerator[Event, None]:
        """Items, and the result; its errors are raised. Progress and logs are passed on."""
        for attempt in itertools.count(1):
            replica = None if tasks is not None else await self._take(running)
            sent_items = False
            try:
                events = self._run(running, make_work(), tasks or replica.place)  # type: ignore[union-attr]
                try:
                    async for event in events:
                        sent_items = sent_items or event[0] == "item"
                        yield event
                    return
                finally:
                    await events.aclose()
            except Lost as error:
                self._lost += 1
                if replica is not None:
                    replica.is_lost = (
                        True  # nobody else is sent there, although it is not known yet
                    )
                if (error.started and not tool.idempotent) or sent_items or attempt == _ATTEMPTS:
                    raise CallError(
                        f"{tool.name}: {error}", code="unavailable", started=error.started
                    ) from None
                self._retried += 1
            finally:
                if replica is not None:
                    self._give_back(replica)

    async def _run(self, running: Any, work: Work, place: Place) -> AsyncGenerator[Event, None]:
        """One attempt. When this ends, the call there has ended, or is lost."""
        events = place.call(work)
        self._tasks += place.label == "task"
        ended = False
        try:
            async for event in events:
                kind = event[0]
                if kind == "progress":
                    running.progress(*event[1:])
                elif kind == "log":
                    running.log(*event[1:])
                elif kind == "error":
                    ended = True
                    raise CallError.from_wire(event[1])
                else:
                    ended = kind == "result"
                    yield event
                    if ended:
                        return
            ended = True
            raise Lost("the replica has sent no outcome")
        except Exception:  # which comes in the place of the last event; a cancel is none
            ended = True
            raise
        finally:
            if not ended:
                # nobody awaits it any more, but its place is taken until it has really ended
                place.cancel(work.key)
                await _exhaust(events)
            self._tasks -= place.label == "task"

    async def _take(self, running: Any) -> _Replica:
        """A replica with room for one more call, which counts from now on."""
        room = self._concurrency
        ready = [each for each in self._replicas if each.calls < room and not each.is_lost]
        if ready and not self._waiting:
            replica = min(ready, key=lambda each: (each.calls, each.turn))
            replica.calls += 1
            replica.turn = next(
                self._turns
            )  # of those with the fewest the one that has rested most
            return replica
        if self._fault is not None and not self._replicas:
            raise CallError(f"no replica is left: {self._fault}", code="unavailable", started=False)
        running.started = False  # see ``Call.started``: this thread alone changes it
        waiting: asyncio.Future[_Replica] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            replica = await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._give_back(waiting.result())
            elif waiting in self._waiting:
                self._waiting.remove(waiting)
            raise
        running.started = True
        if running.answered:  # asked after the above, as a worker does
            self._give_back(replica)
            raise Cancelled("nobody awaits the call any more", started=False)
        return replica

    def _give_back(self, replica: _Replica) -> None:
        replica.calls -= 1
        self._serve(replica)

    def _serve(self, replica: _Replica) -> None:
        """Give the room of a replica to calls that wait."""
        while self._waiting and not replica.is_lost and replica.calls < self._concurrency:
            waiting = self._waiting.popleft()
            if not waiting.done():
                replica.calls += 1
                waiting.set_result(replica)

    # -- the replicas -----------------------------------------------------------------------

    def _add(self, place: Place) -> None:
        replica = _Replica(place)
        self._replicas.append(replica)
        self._fault = None
        self._watch(self._await_loss(replica))
        self._serve(replica)

    def _watch(self, coroutine: Any) -> None:
        watcher = asyncio.get_running_loop().create_task(coroutine)
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _await_loss(self, replica: _Replica) -> None:
        reason = await replica.place.lost()
        replica.is_lost = True
        self._lost_replicas += 1
        self._replicas.remove(replica)
        if not self._closed:
            logger().warning("replica %s is lost: %s", replica.place.label, reason)
            await self._replace(reason)

    async def _replace(self, reason: str) -> None:
        """Start another one, again and again until it is ready."""
        pause_s = _FIRST_PAUSE_S
        while not self._closed:
            place: Place | None = None
            try:
                place = self._cluster.new_place()
                await place.ready()
            except (Lost, AdapterError) as error:
                reason = str(error)
                if place is not None:
                    place.end()
                self._fail(reason)
                logger().error("a replica could not be started: %s", reason)
            else:
                self._restarted += 1
                self._add(place)
                return
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _fail(self, reason: str) -> None:
        """Let nobody wait for replicas of which none can be started."""
        self._fault = reason
        while self._waiting and not self._replicas:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(
                    CallError(f"no replica is left: {reason}", code="unavailable", started=False)
                )


async def _exhaust(events: Any) -> None:
    try:
        async for event in events:
            if event[0] in ("result", "error"):
                return
    except (Lost, CallError):
        pass

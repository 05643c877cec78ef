"""Replicas that are processes of this machine: the engine without a cluster."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from queue import SimpleQueue
from typing import Any

from ..errors import AdapterError, CallError, InvalidParams
from ..threads import start_thread
from .child import (
    CALL,
    CANCEL,
    CLOSE,
    EVENT,
    FAILED,
    GRANT,
    HOST,
    READY,
    dumps,
    read_frame,
    write_frame,
)
from .inbox import Inbox
from .interfaces import Cluster, Event, Host, Lost, Place, Work

_PROGRAM = """\
import sys
sys.path[:] = sys.argv[3:]
from bridge.engines.child import serve
serve(int(sys.argv[1]), int(sys.argv[2]))"""
#: How long the adapters of all replicas may take to close.
_CLOSE_S = 2.0


class ProcessCluster(Cluster):
    """Starts replicas as children of this process.

    Args:
        make_host: makes what a replica runs; it is pickled.
        make_task_host: the same for tasks, which are one at a time in a process.
    """

    def __init__(self, make_host: Callable[[], Host], make_task_host: Callable[[], Host]) -> None:
        self._host = dumps(make_host)
        self._task_host = dumps(make_task_host)
        self.places: set[ProcessPlace] = set()

    async def connect(self) -> None:
        """There is nothing to connect to."""

    def new_place(self) -> ProcessPlace:
        return self._new(self._host)

    def new_task_place(self) -> ProcessPlace:
        """A process for tasks."""
        return self._new(self._task_host)

    def _new(self, host: bytes) -> ProcessPlace:
        place = ProcessPlace(host, self.places.discard)
        self.places.add(place)
        return place

    def tasks(self, needs: Mapping[str, float]) -> Place:
        return TaskPlace(self)

    def close(self) -> None:
        places = list(self.places)
        for place in places:
            place.send(CLOSE)
        for place in places:
            place.finish(_CLOSE_S)


class ProcessPlace(Place):
    """A replica that is a child of this process."""

    def __init__(self, host: bytes, ended: Callable[[ProcessPlace], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, Inbox] = {}
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._ended = ended
        self._out: SimpleQueue[tuple[int, int, bytes] | None] = SimpleQueue()
        try:
            self._process, self._reads, self._writes = _start()
        except OSError as error:
            raise AdapterError(f"no process can be started for a replica: {error}") from None
        self.label = f"process {self._process.pid}"
        if not start_thread(threading.Thread(target=self._write, daemon=True)):
            os.close(self._writes)
            self._end_unread()
        if not start_thread(threading.Thread(target=self._read, daemon=True)):
            self._out.put(None)
            self._end_unread()
        self.send(HOST, 0, host)

    # -- the loop's thread ------------------------------------------------------------------

    async def ready(self) -> None:
        await asyncio.shield(self._ready)

    def call(self, work: Work) -> AsyncIterator[Event]:
        if self._lost.done():
            raise Lost(self._lost.result(), started=False)
        try:
            data = dumps(work)
        except Exception as error:
            raise InvalidParams(f"the arguments cannot be sent: {error}", started=False) from None
        inbox = self._calls[work.key] = Inbox()
        self.send(CALL, work.key, data)
        if work.streams:
            return _Granting(inbox, lambda: self.send(GRANT, work.key))
        return inbox

    def cancel(self, key: int) -> None:
        self.send(CANCEL, key)

    async def lost(self) -> str:
        return await asyncio.shield(self._lost)

    def end(self) -> None:
        self._process.kill()

    def _end_unread(self) -> None:
        """End a process whose end no thread would see, and say so."""
        os.close(self._reads)
        self._process.kill()
        self._process.wait()
        raise AdapterError("no thread can be started for a replica")

    def send(self, kind: int, key: int = 0, data: bytes = b"") -> None:
        """Write a frame soon."""
        self._out.put((kind, key, data))

    def finish(self, seconds: float) -> None:
        """Wait so long for the process to end, and kill it then."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _take(self, kind: int, key: int, data: Any) -> None:
        if kind == EVENT:
            inbox = self._calls.get(key)
            if inbox is None:
                return
            if data[0] in ("result", "error"):
                del self._calls[key]
            inbox.put(data)
        elif kind == READY:
            self._ready.set_result(None)
        elif kind == FAILED:
            self._ready.set_exception(AdapterError(data))

    def _gone(self, status: int) -> None:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        reason = f"{self.label} has ended with {how}"
        self._lost.set_result(reason)
        if not self._ready.done():
            self._ready.set_exception(Lost(reason, started=False))
        self._ready.exception()  # so that nobody is told that nobody has asked
        calls, self._calls = self._calls, {}
        for inbox in calls.values():
            inbox.put(Lost(reason))
        self._ended(self)

    # -- threads of their own ---------------------------------------------------------------

    def _read(self) -> None:
        while True:
            frame = read_frame(self._reads)
            if frame is None:
                break
            kind, key, data = frame
            value: Any = data.decode() if kind == FAILED else None
            if kind == EVENT:
                try:
                    value = pickle.loads(data)
                except Exception as error:
                    text = f"the result of the replica could not be read: {error}"
                    value = ("error", CallError(text, started=True).to_wire())
            self._post(self._take, kind, key, value)
        os.close(self._reads)
        self._out.put(None)
        self._post(self._gone, self._process.wait())

    def _write(self) -> None:
        while True:
            frame = self._out.get()
            if frame is None:
                break
            try:
                write_frame(self._writes, *frame)
            except OSError:
                break  # who reads knows that it is gone
        os.close(self._writes)

    def _post(self, function: Callable[..., object], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            pass  # the loop is closed: the process ends


def _start() -> tuple[subprocess.Popen[bytes], int, int]:
    """Start a process; returns it, and where one reads from it and writes to it. Raises ``OSError``."""
    opened = list(os.pipe())
    try:
        opened += os.pipe()
        inner_in, writes, reads, inner_out = opened
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(inner_in), str(inner_out), *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what tools print
            pass_fds=(inner_in, inner_out),
        )
    except BaseException:
        for descriptor in opened:
            os.close(descriptor)
        raise
    os.close(inner_in)
    os.close(inner_out)
    return process, reads, writes


class _Granting(AsyncIterator[Event]):
    """Events of a stream; one more may be sent for each item that was taken."""

    def __init__(self, events: Inbox, grant: Callable[[], object]) -> None:
        self._events = events
        self._grant = grant

    async def __anext__(self) -> Event:
        event = await anext(self._events)
        if event[0] == "item":
            self._grant()
        return event


class TaskPlace(Place):
    """Runs each call in a process that has no other meanwhile, at most one for each core."""

    label = "task"

    def __init__(self, cluster: ProcessCluster) -> None:
        self._cluster = cluster
        self._idle: list[ProcessPlace] = []
        self._turns = asyncio.Semaphore(max(2, os.cpu_count() or 1))
        self._running: dict[int, ProcessPlace] = {}
        self._pumps: set[asyncio.Task[None]] = set()

    async def ready(self) -> None:
        """There is nothing to wait for."""

    def call(self, work: Work) -> AsyncIterator[Event]:
        inbox = Inbox(1)
        pump = asyncio.get_running_loop().create_task(self._run(work, inbox))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return inbox

    async def _run(self, work: Work, inbox: Inbox) -> None:
        async with self._turns:
            try:
                place = self._idle.pop() if self._idle else self._cluster.new_task_place()
                await place.ready()
                try:
                    events = place.call(work)
                except InvalidParams:
                    self._idle.append(place)  # which has not heard of it
                    raise
                self._running[work.key] = place
                async for event in events:
                    await inbox.arrive(event)
                    if event[0] in ("result", "error"):
                        self._idle.append(place)
                        return
            except (Lost, CallError) as error:
                await inbox.arrive(error)  # type: ignore[arg-type]
            except AdapterError as error:
                failure = CallError(str(error), code="failed_precondition", started=False)
                await inbox.arrive(failure)  # type: ignore[arg-type]
            finally:
                self._running.pop(work.key, None)

    def cancel(self, key: int) -> None:
        place = self._running.get(key)
        if place is not None:
            place.cancel(key)

    async def lost(self) -> str:
        raise NotImplementedError  # one process is lost, and not all

    def end(self) -> None:
        """The processes end with the cluster."""

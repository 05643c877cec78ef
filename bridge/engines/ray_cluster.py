"""Replicas that are actors of a cluster of Ray, and tasks. The one file that knows Ray."""

from __future__ import annotations

import asyncio
import functools
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from queue import SimpleQueue
from typing import Any

import ray
from ray import exceptions as failures

from ..errors import AdapterError, CallError, EncodeError, InvalidParams, ToolFailed, shorten
from .inbox import Inbox
from .interfaces import WINDOW, Cluster, Event, Host, Lost, Place, Work
from .settings import Ray

#: A kind of event, the pickled event, and the buffers that are beside it.
Packed = tuple[str, bytes, list[Any]]
_LAST = ("result", "error")
#: Arguments from here on are put into the object store by another thread than that of the loop.
_LARGE_BYTES = 1 << 20
_CLOSE_S = 2.0
#: What Ray raises where a call has surely not begun.
_NOT_BEGUN = (
    failures.ActorUnschedulableError,
    failures.TaskUnschedulableError,
    failures.RuntimeEnvSetupError,
)
#: These run on threads of their own in an actor, however busy it is.
_CONTROL = {"control": 4}


class RayCluster(Cluster):
    """A cluster that is running.

    Args:
        settings: what the adapter says.
        make_host: makes what an actor runs; it is pickled.
        make_task_host: the same for tasks.
        concurrency: how many calls an actor runs at once.
    """

    def __init__(
        self,
        settings: Ray,
        make_host: Callable[[], Host],
        make_task_host: Callable[[], Host],
        concurrency: int,
    ) -> None:
        self._settings = settings
        self._make_host = make_host
        self.task_host = pickle.dumps(make_task_host)
        self.kill_after_s = settings.kill_after_s
        self._concurrency = concurrency
        self._places: set[RayPlace] = set()
        self._owns = False

    async def connect(self) -> None:
        if ray.is_initialized():
            return  # by the adapter
        try:
            ray.init(
                address=self._settings.address or "auto",  # which RAY_ADDRESS may say otherwise
                namespace=self._settings.namespace,
                runtime_env=self._settings.runtime_env or None,
                configure_logging=False,
            )
        except Exception as error:
            raise AdapterError(
                f"no cluster of Ray can be used: {_first_line(error)} Start one (ray start --head), and "
                "say where it is: RAY_ADDRESS=HOST:PORT, or Ray(address=…)"
            ) from None
        self._owns = True

    def new_place(self) -> RayPlace:
        wish = self._settings
        actor = ray.remote(concurrency_groups=_CONTROL, max_restarts=0, max_task_retries=0)(_Actor)
        handle = actor.options(
            max_concurrency=self._concurrency,
            num_cpus=wish.num_cpus,
            num_gpus=wish.num_gpus,
            resources=wish.resources or None,
        ).remote(self._make_host)
        place = RayPlace(handle, self._places.discard)
        self._places.add(place)
        return place

    def tasks(self, needs: Mapping[str, float]) -> Place:
        return RayTasks(self, dict(needs))

    def close(self) -> None:
        places = list(self._places)
        try:
            closing = [place.close() for place in places]
            ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_S) if closing else None
        except failures.RayError:
            pass
        for place in places:
            place.end()
        if self._owns:
            ray.shutdown()


class _Actor:
    """A replica, in the process that Ray has started for it."""

    def __init__(self, make_host: Callable[[], Host]) -> None:
        self._fault: str | None = None
        try:
            self._host = make_host()
        except Exception as error:
            self._fault = str(error)

    def ready(self) -> str | None:
        """Why it is not; None: it is."""
        return self._fault

    def call(self, packed: Packed) -> Packed:
        events: SimpleQueue[Packed] = SimpleQueue()
        self._host.start(_unpack(packed), _sender(events))
        return events.get()

    def events(self, packed: Packed) -> Iterator[Packed]:
        yield from _events(self._host, packed)

    def cancel(self, key: int) -> None:
        self._host.cancel(key)

    def watch(self) -> None:
        """Never returns: whoever waits for that sees the actor end."""
        threading.Event().wait()

    def close(self) -> None:
        self._host.close()


def _events(host: Host, packed: Packed) -> Iterator[Packed]:
    events: SimpleQueue[Packed] = SimpleQueue()
    work: Work = _unpack(packed)
    host.start(work, _sender(events))
    try:
        while True:
            event = events.get()
            yield event
            if event[0] in _LAST:
                return
            if event[0] == "item":
                host.grant(work.key, 1)  # Ray has let us go on
    except BaseException:
        host.cancel(work.key)
        raise


@functools.cache
def _task_host(make_host: bytes) -> Host:
    """What this process runs tasks with: Ray uses it again and again, and it is set up once."""
    host: Host = pickle.loads(make_host)()
    return host


def _run_task(make_host: bytes, packed: Packed) -> Packed:
    events: SimpleQueue[Packed] = SimpleQueue()
    try:
        host = _task_host(make_host)
    except AdapterError as error:
        return _pack("error", _unusable(error))
    host.run(_unpack(packed), _sender(events))  # on this thread, which Ray interrupts
    return events.get()


def _stream_task(make_host: bytes, packed: Packed) -> Iterator[Packed]:
    try:
        host = _task_host(make_host)
    except AdapterError as error:
        yield _pack("error", _unusable(error))
    else:
        yield from _events(host, packed)


def _unusable(error: AdapterError) -> Event:
    return ("error", CallError(str(error), code="failed_precondition", started=False).to_wire())


def _pack(kind: str, value: object) -> Packed:
    """A value as Ray sends it without a look inside; large buffers lie in the object store."""
    buffers: list[Any] = []
    return kind, pickle.dumps(value, 5, buffer_callback=buffers.append), buffers


def _unpack(packed: Packed) -> Any:
    return pickle.loads(packed[1], buffers=packed[2])


def _sender(events: SimpleQueue[Packed]) -> Callable[[Event], None]:
    def send(event: Event) -> None:
        try:
            events.put(_pack(event[0], event))
        except Exception as error:
            text = f"{shorten(event[1])} cannot be sent from the replica: {_first_line(error)}"
            raise EncodeError(text) from error

    return send


class _Remote(Place):
    """What actors and tasks have in common: a call is sent, and its events come back."""

    def __init__(self) -> None:
        self._sending: set[asyncio.Task[None]] = set()

    def call(self, work: Work) -> AsyncIterator[Event]:
        inbox = Inbox(WINDOW)
        sending = asyncio.get_running_loop().create_task(self._send(work, inbox))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return inbox

    def _submit(self, key: int, tells: bool, packed: Packed) -> Any:
        """Hand a call to Ray: a reference to the last event, or a generator of references."""
        raise NotImplementedError

    def _ended(self, key: int) -> None:
        """Nothing comes for this call any more."""

    async def _send(self, work: Work, inbox: Inbox) -> None:
        try:
            try:
                packed = _pack("call", work)
            except Exception as error:
                text = f"the arguments cannot be sent to Ray: {_first_line(error)}"
                raise InvalidParams(text, started=False) from None
            if len(packed[1]) + sum(part.raw().nbytes for part in packed[2]) < _LARGE_BYTES:
                sent = self._submit(work.key, work.tells, packed)
            else:
                loop = asyncio.get_running_loop()
                sent = await loop.run_in_executor(None, self._submit, work.key, work.tells, packed)
            if not work.tells:
                await inbox.arrive(_unpack(await sent))
                return
            async for reference in sent:
                await inbox.arrive(_unpack(await reference))
        except Exception as error:
            await inbox.arrive(_outcome(error))  # type: ignore[arg-type]
        finally:
            self._ended(work.key)


class RayPlace(_Remote):
    """An actor, seen from here."""

    def __init__(self, actor: Any, ended: Callable[[RayPlace], object]) -> None:
        super().__init__()
        self._actor = actor
        self._forget = ended
        self.label = f"actor {actor._actor_id.hex()[:8]}"

    async def ready(self) -> None:
        try:
            fault = await self._actor.ready.remote()
        except failures.RayError as error:
            raise Lost(_first_line(error), started=False) from None
        if fault is not None:
            raise AdapterError(fault)

    def _submit(self, key: int, tells: bool, packed: Packed) -> Any:
        if not tells:
            return self._actor.call.remote(packed)
        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": WINDOW}
        return self._actor.events.options(**options).remote(packed)

    def cancel(self, key: int) -> None:
        self._actor.cancel.options(concurrency_group="control").remote(key)

    async def lost(self) -> str:
        try:
            await self._actor.watch.options(concurrency_group="control").remote()
        except failures.RayError as error:
            self._forget(self)
            return _first_line(error)
        return "it has ended"

    def close(self) -> Any:
        """Have its adapter closed. Returns what ``ray.wait`` waits for."""
        return self._actor.close.options(concurrency_group="control").remote()

    def end(self) -> None:
        self._forget(self)
        ray.kill(self._actor)


class RayTasks(_Remote):
    """Where tasks run: wherever Ray finds what they need."""

    label = "task"

    def __init__(self, cluster: RayCluster, needs: Mapping[str, float]) -> None:
        super().__init__()
        self._cluster = cluster
        # Ray would run a task again that may have begun
        self._options: dict[str, Any] = {"max_retries": 0, **needs}
        self._running: dict[int, Any] = {}

    async def ready(self) -> None:
        """There is nothing to wait for."""

    def _submit(self, key: int, tells: bool, packed: Packed) -> Any:
        options = self._options
        function: Any = _run_task
        if tells:
            function = _stream_task
            options = {
                **options,
                "num_returns": "streaming",
                "_generator_backpressure_num_objects": WINDOW,
            }
        sent = ray.remote(function).options(**options).remote(self._cluster.task_host, packed)
        self._running[key] = sent
        return sent

    def _ended(self, key: int) -> None:
        self._running.pop(key, None)

    def cancel(self, key: int) -> None:
        self._cancel(key, False)
        loop = asyncio.get_running_loop()
        loop.call_later(self._cluster.kill_after_s, self._cancel, key, True)

    def _cancel(self, key: int, force: bool) -> None:
        sent = self._running.get(key)
        if sent is not None:
            ray.cancel(sent, force=force)

    async def lost(self) -> str:
        raise NotImplementedError  # one task is lost, and not all

    def end(self) -> None:
        """Tasks end with the connection."""


def _outcome(error: Exception) -> Exception:
    """What Ray has raised, as what an engine knows."""
    if isinstance(error, CallError | Lost):
        return error
    if isinstance(error, failures.RayTaskError):
        # of our own code there: what the tool raises comes as an event
        return ToolFailed(
            f"the call could not be run on Ray, or its result not be sent: {_last_line(error)}",
            started=True,
        )
    return Lost(_first_line(error), started=not isinstance(error, _NOT_BEGUN))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shorten(f"{type(error).__name__}: {lines[0] if lines else ''}", 400).strip("'\"")


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shorten(lines[-1] if lines else type(error).__name__, 400).strip("'\"")

"""What a replica of an engine runs: an instance of the adapter, served to one peer.

It is a dispatcher and a pool like those of the process that is called, so a tool is found, checked,
run, interrupted and answered in the one way there is.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from ..calls import CallView, Dispatcher, Interrupter, Peer, Sink, Worker
from ..engines.interfaces import WINDOW, Event, Host, Work
from ..errors import CallError, Cancelled
from ..loading import build, resolve, with_allowed
from ..threads import start_thread
from ..typing_names import Any
from ..wire import CallOptions, Request
from .adapter_life import build_adapter, close, make_pool, max_async, set_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..calls import Call

#: So many calls that came after their cancel are known.
_REMEMBERED = 1024
_LOOK_S = 0.02


class Replica(Host):
    """An instance of an adapter, set up. Its methods are for any thread.

    Args:
        adapter: its name.
        directories: where it may be imported from: the ``--app-dir`` of the process that is called,
            or None, and its working directory. On another machine they need not be there.
        allow: the modules that it serves; None: it is not for modules.
        concurrency: how many calls run at once.
        async_limit: how many of asynchronous tools.
        interrupt_abandoned_s: when a tool is ended that goes on, in seconds; None: never.
        on_main: whether the thread that has made it runs the tools.

    Raises:
        AdapterError: it cannot be served.
    """

    def __init__(
        self,
        adapter: str,
        directories: tuple[str | None, str],
        allow: tuple[str, ...] | None,
        concurrency: int,
        async_limit: int,
        interrupt_abandoned_s: float | None,
        on_main: bool = False,
    ) -> None:
        app_dir, working = directories
        if os.path.isdir(working) and working not in sys.path:
            sys.path.append(working)
        there = app_dir if app_dir is not None and os.path.isdir(app_dir) else None
        target = with_allowed(adapter, resolve(adapter, there), allow)
        # with one worker everything of the adapter would happen on that one
        self._pool = make_pool(max(2, concurrency) if on_main else concurrency, 1 << 20)
        self._adapter = build_adapter(self._pool, build, adapter, target)
        set_up(self._pool, self._adapter)
        self._dispatcher = Dispatcher(
            self._adapter.tools,
            self._pool,
            interrupter=Interrupter(interrupt_abandoned_s, allowed=True),
            max_async=max_async(self._adapter, async_limit),
        )
        self._worker = Worker("bridge-task") if on_main else None
        self._peer = _EnginePeer(self._is_running)
        self._cancelled: deque[int] = deque(maxlen=_REMEMBERED)

    def start(self, work: Work, send: Callable[[Event], object]) -> None:
        call = self._admit(work, send, time.monotonic())
        if call is not None:
            self._dispatcher.start(call)
            if work.key in self._cancelled:
                self._dispatcher.cancel(work.key)

    def run(self, work: Work, send: Callable[[Event], object]) -> None:
        now = time.monotonic()
        call = self._admit(work, send, now)
        if call is not None:
            self._dispatcher.watch_deadline(call)
            try:
                self._dispatcher.run_here(call, self._worker, now, lambda worker: None)
            finally:
                if self._worker is not None:
                    self._worker.job = None

    def grant(self, key: int, items: int) -> None:
        self._peer.grant(key, items)

    def cancel(self, key: int) -> None:
        self._cancelled.append(key)  # it may come before its call
        self._dispatcher.cancel(key)

    def close(self) -> None:
        idle = self._dispatcher.drain(0.0)
        close(self._pool, self._adapter, idle)

    def _admit(self, work: Work, send: Callable[[Event], object], now: float) -> Call | None:
        route = self._peer.open(work.key, send)
        credit = (WINDOW, 1 << 40) if work.streams else None
        options = CallOptions(work.timeout_s, work.session, work.metadata, credit)
        request = Request(work.key, work.tool, work.params, options)
        route.call = call = self._dispatcher.admit(request, self._peer, now)
        return call

    def _is_running(self, call: Call) -> bool:
        """Whether its tool has not ended, although it has its answer."""
        tasks = self._dispatcher.async_calls
        if tasks is not None and call in tasks.running:
            return True
        workers = (*self._pool.everyone(), *([self._worker] if self._worker else ()))
        return any(worker.job is call for worker in workers)


class _Route:
    """The way of one call's events, and how many items may be sent."""

    def __init__(self, send: Callable[[Event], object]) -> None:
        self.send = send
        self.credit = threading.Semaphore(WINDOW)
        self.call: Call | None = None


class _EnginePeer(Peer):
    """The process that is called, to the calls that it has sent here."""

    plain_streams = False

    def __init__(self, is_running: Callable[[Call], bool]) -> None:
        self._routes: dict[int, _Route] = {}
        self._is_running = is_running
        self._lock = threading.Lock()
        #: Errors of calls whose tool goes on, with their routes; there is a thread while there are some.
        self._held: list[tuple[_Route, CallError]] = []

    def open(self, key: int, send: Callable[[Event], object]) -> _Route:
        route = self._routes[key] = _Route(send)
        return route

    def grant(self, key: int, items: int) -> None:
        route = self._routes.get(key)
        if route is not None:
            route.credit.release(items)

    def send_result(self, key: int, result: Any) -> None:
        self._routes[key].send(("result", result))
        self._routes.pop(key, None)

    def send_error(self, key: int, error: CallError) -> None:
        route = self._routes.pop(key, None)
        if route is None:
            return
        if route.call is not None and route.call.started and route.call.interruption is not None:
            self._hold(route, error)
        else:
            self._send_error(route, error)

    def _hold(self, route: _Route, error: CallError) -> None:
        """Send it when the tool has ended: until then its place is taken, and its caller knows."""
        with self._lock:
            self._held.append((route, error))
            begins = len(self._held) == 1
        if begins:
            start_thread(threading.Thread(target=self._await_ends, daemon=True))

    def _await_ends(self) -> None:
        while True:
            with self._lock:
                for held in [each for each in self._held if not self._goes_on(each[0])]:
                    self._held.remove(held)
                    self._send_error(*held)
                if not self._held:
                    return
            time.sleep(_LOOK_S)

    def _goes_on(self, route: _Route) -> bool:
        return route.call is not None and self._is_running(route.call)

    def _send_error(self, route: _Route, error: CallError) -> None:
        try:
            route.send(("error", error.to_wire()))
        except Exception:  # its details
            bare = CallError(
                error.message, code=error.code, type=error.type, traceback=error.traceback,
                started=error.started,
            )  # fmt: skip
            route.send(("error", bare.to_wire()))

    def open_stream(self, call: CallView) -> Sink:
        return _EngineSink(self._routes.get(call.key), call)

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        self._tell(key, ("progress", done, total, text))

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> None:
        if key is not None:
            self._tell(key, ("log", level, text, fields))

    def _tell(self, key: int, event: Event) -> None:
        route = self._routes.get(key)
        if route is not None:
            try:
                route.send(event)
            except Exception:
                pass  # it is dropped


class _EngineSink(Sink):
    """The items of one call, at most ``WINDOW`` ahead of whoever takes them."""

    def __init__(self, route: _Route | None, call: CallView) -> None:
        self._route = route
        self._call = call
        self._may_send = False

    def wait(self) -> None:
        while not self.is_ready() and self._call.interruption is None:
            assert self._route is not None
            self._may_send = self._route.credit.acquire(timeout=_LOOK_S)

    def is_ready(self) -> bool:
        if self._route is not None and not self._may_send:
            self._may_send = self._route.credit.acquire(blocking=False)
        return self._may_send

    def send(self, item: Any) -> None:
        if self._route is None:
            raise Cancelled("the call is over", started=True)
        self._may_send = False
        self._route.send(("item", item))

"""Locks that say when they are held, and the hand-overs that put threads in order.

While ``SyncTracing`` is entered, ``threading`` and ``queue`` make locks that tell the probe, whoever
takes them: a ``with``, a decorator, an ``ExitStack``. Hand-overs, from ``put`` to ``get``, ``set`` to
``wait``, ``notify`` to ``wait``, ``start`` to the thread, the thread to ``join``, ``submit`` to the
function, and its end to ``result``, carry what the thread has done so far.
"""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..detector import Clock
from .calls import Calls
from .decisions import Decisions
from .locks import traced_lock, traced_rlock, wait_for
from .modules import is_bridge
from .recorder import Recorder

_numbers = itertools.count(1)


def is_traced(module: str) -> bool:
    """Whether locks are to be traced that the module of this name makes.

    Those of the bridge itself say nothing about the program, those of its adapters do.
    """
    # rewritten code makes its locks by way of the operation of calling
    return not is_bridge(module) or module == "bridge.adapter" or module == Calls.__module__


class SyncTracing:
    """Traces locks and hand-overs while it is entered. One at a time in a process.

    Args:
        recorder: is told of what is held and handed over.
        decisions: is told of what is waited for.
        is_traced: says of a module, by its name, whether a lock that it makes is to be traced;
            those of the bridge itself need not.
    """

    def __init__(
        self, recorder: Recorder, decisions: Decisions, is_traced: Callable[[str], bool]
    ) -> None:
        self._recorder = recorder
        self._decisions = decisions
        self._is_traced = is_traced
        self._replaced: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> SyncTracing:
        self._replace(threading, "Lock", self._maker(threading.Lock, traced_lock(self._recorder)))
        self._replace(
            threading, "RLock", self._maker(threading.RLock, traced_rlock(self._recorder))
        )
        self._trace_threads()
        self._trace_signals()
        self._trace_queues()
        self._trace_semaphores()
        self._trace_futures()
        return self

    def __exit__(self, *_: object) -> None:
        while self._replaced:
            holder, name, original = self._replaced.pop()
            setattr(holder, name, original)

    def _replace(self, holder: Any, name: str, new: Any) -> None:
        self._replaced.append((holder, name, holder.__dict__[name]))
        setattr(holder, name, new)

    def _maker(self, make: Callable[..., Any], traced: Callable[..., Any]) -> Callable[..., Any]:
        """What makes traced locks for the program: a class, where there was one."""
        is_traced = self._is_traced

        def lock(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            return (traced if is_traced(caller) else make)(*args, **kwargs)

        functools.update_wrapper(lock, make)
        if not isinstance(make, type):
            return lock
        real: type = make

        class Kind(type):
            def __call__(cls, *args: Any, **kwargs: Any) -> Any:
                caller = sys._getframe(1).f_globals.get("__name__", "")
                return (traced if is_traced(caller) else make)(*args, **kwargs)

            def __instancecheck__(cls, instance: Any) -> bool:
                return isinstance(instance, real)

            def __subclasscheck__(cls, kind: type) -> bool:
                return issubclass(kind, real)

        return Kind(make.__name__, (), {"__module__": make.__module__, "__doc__": make.__doc__})

    def _wrap(self, holder: Any, name: str, around: Callable[..., Any]) -> None:
        """Replace a method by ``around(original, self, ...)``."""
        original = holder.__dict__[name]

        @functools.wraps(original)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            return around(original, self, *args, **kwargs)

        self._replace(holder, name, wrapped)

    def _merge(self, holder: Any, clock: Clock) -> None:
        """Add to what is handed over by ``holder``."""
        with self._recorder.lock:
            holder.__dict__.setdefault("_bridge_clock", Clock({}, {})).merge(clock)

    def _receive(self, holder: Any) -> None:
        with self._recorder.lock:
            self._recorder.receive(holder.__dict__.get("_bridge_clock"))

    # -- one kind after another -------------------------------------------------------------

    def _trace_threads(self) -> None:
        recorder = self._recorder

        def start(original: Any, thread: threading.Thread) -> None:
            clock, run = recorder.send(), thread.run
            own = thread.__dict__.get("run")

            def put_back() -> None:
                if own is not None:
                    thread.__dict__["run"] = own
                else:
                    thread.__dict__.pop("run", None)

            def traced() -> None:
                put_back()
                recorder.receive(clock)
                try:
                    run()
                finally:
                    self._merge(thread, recorder.send())

            # of the one thread, for its class may have a run() of its own
            thread.run = traced  # type: ignore[method-assign]
            try:
                original(thread)
            except BaseException:
                put_back()
                raise

        def join(original: Any, thread: threading.Thread, timeout: float | None = None) -> None:
            original(thread, timeout)
            if not thread.is_alive():
                self._receive(thread)

        self._wrap(threading.Thread, "start", start)
        self._wrap(threading.Thread, "join", join)

    def _trace_signals(self) -> None:
        recorder, decisions = self._recorder, self._decisions

        def signal(original: Any, holder: Any, *args: Any) -> Any:
            self._merge(holder, recorder.send())
            return original(holder, *args)

        def wait(original: Any, holder: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(holder, *args, **kwargs)
            if result:
                self._receive(holder)
            return result

        def meet(original: Any, barrier: Any, *args: Any, **kwargs: Any) -> Any:
            self._merge(barrier, recorder.send())
            result = original(barrier, *args, **kwargs)
            self._receive(barrier)
            return result

        self._wrap(threading.Event, "set", signal)
        self._wrap(threading.Event, "wait", wait)
        self._wrap(threading.Event, "is_set", wait)

        def wait_for(original: Any, holder: Any, *args: Any, **kwargs: Any) -> Any:
            mark = decisions.mark()
            result = original(holder, *args, **kwargs)
            return decisions.decided(None, mark, result)

        self._wrap(threading.Condition, "notify", signal)
        self._wrap(threading.Condition, "wait_for", wait_for)
        self._wrap(threading.Condition, "wait", wait)
        self._wrap(threading.Barrier, "wait", meet)

    def _trace_queues(self) -> None:
        put, get = self._put, self._get

        def done(original: Any, holder: Any) -> None:
            self._merge(holder, self._recorder.send())
            original(holder)

        def join(original: Any, holder: Any) -> None:
            original(holder)
            self._receive(holder)

        self._wrap(queue.Queue, "task_done", done)
        self._wrap(queue.Queue, "join", join)
        self._wrap(queue.Queue, "put", put)
        self._wrap(queue.Queue, "get", get)

        class SimpleQueue(queue.SimpleQueue):  # type: ignore[type-arg]
            """The one of the standard library cannot be changed, but derived from."""

            def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
                put(queue_put, self, item, block, timeout)

            def get(self, block: bool = True, timeout: float | None = None) -> Any:
                return get(queue_get, self, block, timeout)

            def put_nowait(self, item: Any) -> None:
                self.put(item)

            def get_nowait(self) -> Any:
                return self.get(False)

        for method in (SimpleQueue.put, SimpleQueue.get, SimpleQueue.put_nowait):
            method.__module__ = "queue"  # for the probe, which knows what queues pass on
        queue_put, queue_get = queue.SimpleQueue.put, queue.SimpleQueue.get
        self._replace(queue, "SimpleQueue", SimpleQueue)

    def _put(self, original: Any, holder: Any, item: Any, *args: Any, **kwargs: Any) -> None:
        # each item carries its own clock: whoever takes another one has not been handed this one
        clock = self._recorder.send()
        with self._recorder.lock:
            clocks = holder.__dict__.setdefault("_bridge_clocks", {})
            clocks.setdefault(id(item), []).append(clock)
        original(holder, item, *args, **kwargs)

    def _get(self, original: Any, holder: Any, *args: Any, **kwargs: Any) -> Any:
        item = original(holder, *args, **kwargs)
        with self._recorder.lock:
            clocks = holder.__dict__.get("_bridge_clocks", {})
            waiting = clocks.get(id(item))
            if waiting:
                self._recorder.receive(waiting.pop(0))
                if not waiting:
                    del clocks[id(item)]
        return item

    def _trace_semaphores(self) -> None:
        recorder = self._recorder

        def init(original: Any, semaphore: Any, value: int = 1) -> None:
            original(semaphore, value)
            semaphore._bridge_permits = value
            semaphore._bridge_key = f"semaphore {next(_numbers)}"

        def acquire(original: Any, semaphore: Any, *args: Any, **kwargs: Any) -> Any:
            permits = semaphore.__dict__.get("_bridge_permits")
            lasting = permits == 1 and not args and not kwargs
            got = original(semaphore, *((False,) if lasting else args), **kwargs)
            if lasting and not got:
                take = functools.partial(original, semaphore)
                got = wait_for(recorder, semaphore._bridge_key, take)
            if got and permits == 1:
                semaphore._bridge_owner = recorder.thread
                recorder.acquire(semaphore._bridge_key, lasting)
                with recorder.lock:
                    recorder.receive_softly(semaphore.__dict__.get("_bridge_clock"))
            elif got and permits == 0:
                self._receive(semaphore)
            return got

        def release(original: Any, semaphore: Any, n: int = 1) -> None:
            permits = semaphore.__dict__.get("_bridge_permits")
            if permits == 1:
                recorder.release(semaphore._bridge_key, semaphore.__dict__.get("_bridge_owner", 0))
            if permits in (0, 1):
                self._merge(semaphore, recorder.send())
            original(semaphore, n)

        self._wrap(threading.Semaphore, "__init__", init)
        self._wrap(threading.Semaphore, "acquire", acquire)
        self._replace(threading.Semaphore, "__enter__", threading.Semaphore.acquire)
        self._wrap(threading.Semaphore, "release", release)
        self._wrap(threading.BoundedSemaphore, "release", release)

    def _trace_futures(self) -> None:
        recorder = self._recorder

        def submit(original: Any, executor: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            clock = recorder.send()

            def traced(*args: Any, **kwargs: Any) -> Any:
                recorder.receive(clock)
                return fn(*args, **kwargs)

            return original(executor, traced, *args, **kwargs)

        def done(original: Any, future: Any, value: Any) -> None:
            self._merge(future, recorder.send())
            original(future, value)

        def result(original: Any, future: Any, timeout: float | None = None) -> Any:
            try:
                return original(future, timeout)
            finally:
                self._receive(future)

        def is_done(original: Any, future: Any) -> bool:
            done: bool = original(future)
            if done:
                self._receive(future)
            return done

        def add_callback(original: Any, future: Any, callback: Callable[[Any], object]) -> None:
            def traced(future: Any) -> None:
                self._receive(future)
                callback(future)

            original(future, traced)

        self._wrap(concurrent.futures.Future, "done", is_done)
        self._wrap(concurrent.futures.Future, "add_done_callback", add_callback)
        self._trace_waiting()
        self._wrap(concurrent.futures.ThreadPoolExecutor, "submit", submit)
        self._wrap(concurrent.futures.Future, "set_result", done)
        self._wrap(concurrent.futures.Future, "set_exception", done)
        self._wrap(concurrent.futures.Future, "result", result)
        self._wrap(concurrent.futures.Future, "exception", result)

    def _trace_waiting(self) -> None:
        wait_all, completed = concurrent.futures.wait, concurrent.futures.as_completed

        @functools.wraps(wait_all)
        def wait(*args: Any, **kwargs: Any) -> Any:
            result = wait_all(*args, **kwargs)
            for future in result.done:
                self._receive(future)
            return result

        @functools.wraps(completed)
        def as_completed(*args: Any, **kwargs: Any) -> Any:
            for future in completed(*args, **kwargs):
                self._receive(future)
                yield future

        self._replace(concurrent.futures, "wait", wait)
        self._replace(concurrent.futures, "as_completed", as_completed)

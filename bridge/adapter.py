"""Adapters: the classes whose tools are served.

One instance serves the whole process, so its tools run on several workers at once. A class that
is made for that says so, ``__thread_safe__ = True``; ``ThreadSafeAdapter`` says so and brings
what is needed for the three patterns:

1. *shared, read-only*: made in ``__init__`` or ``setup()``, never written again;
2. *thread-local*: ``get_thread_local`` and ``set_thread_local``, one value for each worker;
3. *locked*: ``with self.acquire_lock():`` around what is written.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from types import ModuleType

from .conversions import check_functions
from .signature import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from .tool import Tool, ToolOptions, tool_options
from .typing_names import Any, Self

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Method = TypeVar("Method", bound=Callable[..., Any])
else:
    Method = Callable  # what annotations say at run time


class Adapter:
    """A class with tools. Its tools run one at a time unless it declares itself thread-safe.

    ``setup()`` runs once before the bridge says that it is ready, ``close()`` once when it ends:
    on the main thread, or with ``--max-workers 1`` on the one thread that runs the tools. Either may
    be an ``async def``, which is awaited on the event loop of the tools. ``setup_worker()`` and
    ``close_worker()`` run on each thread that runs tools, first and last. All do nothing by default.

    Every call begins in a copy of the ``contextvars`` that ``setup()`` has left, and
    ``setup_worker()`` on its thread.
    """

    #: Whether several workers may run this adapter's tools at once.
    __thread_safe__ = False

    #: What values of own classes are on the wire: a function for each class, and for those derived
    #: from it; ``{Money: lambda money: {"cents": money.cents}}``.
    encoders: Mapping[type, Callable[[Any], Any]] = {}

    #: What arguments become whose parameter is annotated with the class, or with ``Money | None``,
    #: ``list[Money]``, ``dict[str, Money]``: a function for each. What it raises refuses the call.
    decoders: Mapping[type, Callable[[Any], Any]] = {}

    #: Names of the attributes that are tools, those of base classes included.
    __tools__: tuple[str, ...] = ()

    #: What ``validate`` of its tools is, if they do not say it: ``class Tools(Adapter, validate=True)``.
    __validate__: bool | None = None

    def __init_subclass__(cls, *, validate: bool | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if validate is not None:
            cls.__validate__ = validate
        cls.__tools__ = tool_names(cls)

    def setup(self) -> Awaitable[None] | None:
        """Load what the tools need. An exception here keeps the bridge from starting."""
        return None

    def close(self) -> Awaitable[None] | None:
        """Give back what ``setup()`` took. Runs within the grace, after the last call."""
        return None

    def setup_worker(self) -> None:
        """Prepare the calling thread, before its first call: what a library keeps for each thread.

        An exception here keeps the bridge from starting; on a thread that starts later it is the
        error of the thread's calls, each of which tries anew.
        """

    def close_worker(self) -> None:
        """Give back what ``setup_worker()`` took. Runs after the last call of the thread."""


def tool_names(cls: type) -> tuple[str, ...]:
    """The names of the attributes of a class that are marked ``@tool``, base classes first.

    A child that overrides a tool without marking it again still serves it.
    """
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if tool_options(value) is not None:
                names[name] = None
    return tuple(name for name in names if callable(getattr(cls, name, None)))


def bind_tools(adapter: object) -> dict[str, Tool]:
    """The tools of an adapter by the names that callers use.

    Args:
        adapter: An instance of any class, or a module of functions.

    Raises:
        ValueError: Two tools have the same name.
        TypeError: A tool takes its context where it cannot be given, or is to be validated and has
            an annotation that cannot be; or ``encoders`` or ``decoders`` are no maps of classes to
            functions.
    """
    own = getattr(type(adapter), "__bind_tools__", None)
    if own is not None:  # it finds them in another way
        found: dict[str, Tool] = own(adapter)
        return found
    if isinstance(adapter, Adapter):
        names = type(adapter).__tools__
    elif isinstance(adapter, ModuleType):
        names = tuple(name for name, value in vars(adapter).items() if tool_options(value))
    else:
        names = tool_names(type(adapter))
    tools: dict[str, Tool] = {}
    validate = getattr(adapter, "__validate__", None)
    encoders, decoders = _functions(adapter, "encoders"), _functions(adapter, "decoders")
    for name in names:
        function, options = getattr(adapter, name), _options(adapter, name)
        tool = Tool(
            name, function, options, validate=validate, encoders=encoders, decoders=decoders
        )
        if tool.name in tools:
            raise ValueError(f"two tools are called {tool.name!r}")
        tools[tool.name] = tool
    return tools


def _functions(adapter: object, name: str) -> Mapping[type, Callable[[Any], Any]]:
    """``encoders`` or ``decoders``: of an ``Adapter``; of others if it can mean nothing else."""
    functions = getattr(adapter, name, None)
    own = isinstance(functions, dict) and all(isinstance(key, type) for key in functions)
    if not own and not isinstance(adapter, Adapter):
        return {}
    return check_functions(name, functions)


def _options(adapter: object, name: str) -> ToolOptions:
    options = tool_options(getattr(adapter, name))
    if options is None:
        marked = (tool_options(vars(base).get(name)) for base in type(adapter).__mro__)
        options = next(found for found in marked if found is not None)
    return options


class ThreadLocalStorage:
    """Values that each thread has for itself, by key."""

    def __init__(self) -> None:
        self._local = threading.local()

    def get(self, key: str, default: Any = None) -> Any:
        """This thread's value, or ``default``."""
        return self._local.__dict__.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Keep ``value`` for this thread, as long as the thread lives."""
        self._local.__dict__[key] = value

    def delete(self, key: str) -> None:
        """Forget this thread's value; no effect without one."""
        self._local.__dict__.pop(key, None)

    def clear(self) -> None:
        """Forget all values of this thread."""
        self._local.__dict__.clear()


class RequestTracker:
    """Counts requests by thread and by method; used through ``thread_safe_method``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[int, int] = {}
        self._by_thread: dict[int, int] = {}
        self._by_method: dict[str, int] = {}

    def start_request(self, method: str = "") -> int:
        """Note that this thread begins a request.

        Args:
            method: What is called; default: a request that counts for no method.

        Returns:
            The identifier of the thread, for ``end_request``.
        """
        thread = threading.get_ident()
        with self._lock:
            self._active[thread] = self._active.get(thread, 0) + 1
            self._by_thread[thread] = self._by_thread.get(thread, 0) + 1
            if method:
                self._by_method[method] = self._by_method.get(method, 0) + 1
        return thread

    def end_request(self, thread: int | None = None) -> None:
        """Note that a request ends.

        Args:
            thread: The identifier of the thread that began it; default: the calling one.
        """
        thread = threading.get_ident() if thread is None else thread
        with self._lock:
            left = self._active.get(thread, 0) - 1
            if left > 0:
                self._active[thread] = left
            else:
                self._active.pop(thread, None)

    def get_stats(self) -> dict[str, Any]:
        """What was counted so far.

        Returns:
            ``total_requests``, ``active_requests``, ``threads_used``, and by thread and by method
            ``requests_by_thread`` and ``requests_by_method``.
        """
        with self._lock:
            return {
                "total_requests": sum(self._by_thread.values()),
                "active_requests": sum(self._active.values()),
                "threads_used": len(self._by_thread),
                "requests_by_thread": dict(self._by_thread),
                "requests_by_method": dict(self._by_method),
            }


class ThreadSafeAdapter(Adapter):
    """An adapter whose tools may run on several workers at once, and the means to make it so.

    ``super().__init__()`` need not be called. Any thread may call any method.
    """

    __thread_safe__ = True

    __lock: threading.RLock
    __local: ThreadLocalStorage
    __tracker: RequestTracker

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        adapter = super().__new__(cls)
        adapter.__lock = threading.RLock()
        adapter.__local = ThreadLocalStorage()
        adapter.__tracker = RequestTracker()
        return adapter

    def acquire_lock(self) -> threading.RLock:
        """The adapter's one lock, for ``with self.acquire_lock():`` around writes to shared state.

        It is reentrant, and not held yet: ``with`` takes it.
        """
        return self.__lock

    def get_thread_local(self, key: str, default: Any = None) -> Any:
        """This worker's own value, or ``default``."""
        return self.__local.get(key, default)

    def set_thread_local(self, key: str, value: Any) -> None:
        """Keep a value for this worker, as long as its thread lives."""
        self.__local.set(key, value)

    def clear_thread_local(self, key: str | None = None) -> None:
        """Forget this worker's value of ``key``; default: all of its values."""
        if key is None:
            self.__local.clear()
        else:
            self.__local.delete(key)

    @property
    def request_tracker(self) -> RequestTracker:
        """Counts the calls of methods marked ``thread_safe_method``."""
        return self.__tracker

    def get_stats(self) -> dict[str, Any]:
        """What the tracker counted, and the name of the class."""
        return {"adapter": type(self).__name__, **self.__tracker.get_stats()}


def thread_safe_method(method: Method) -> Method:
    """Count the calls of a method of a ``ThreadSafeAdapter``, by thread, in its ``request_tracker``.

    It takes no lock: what makes the method safe is what it does. For a generator or an
    ``async def`` the request lasts until that ends.
    """
    flags = getattr(getattr(method, "__code__", None), "co_flags", 0)
    name = method.__name__
    tracked: Any

    if flags & CO_ASYNC_GENERATOR:

        async def track_async_generator(
            self: ThreadSafeAdapter, *args: Any, **kwargs: Any
        ) -> AsyncIterator[Any]:
            thread = self.request_tracker.start_request(name)
            try:
                async for item in method(self, *args, **kwargs):
                    yield item
            finally:
                self.request_tracker.end_request(thread)

        tracked = track_async_generator

    elif flags & CO_COROUTINE:

        async def track_coroutine(self: ThreadSafeAdapter, *args: Any, **kwargs: Any) -> Any:
            thread = self.request_tracker.start_request(name)
            try:
                return await method(self, *args, **kwargs)
            finally:
                self.request_tracker.end_request(thread)

        tracked = track_coroutine

    elif flags & CO_GENERATOR:

        def track_generator(
            self: ThreadSafeAdapter, *args: Any, **kwargs: Any
        ) -> Generator[Any, Any, Any]:
            thread = self.request_tracker.start_request(name)
            try:
                return (yield from method(self, *args, **kwargs))
            finally:
                self.request_tracker.end_request(thread)

        tracked = track_generator

    else:

        def track(self: ThreadSafeAdapter, *args: Any, **kwargs: Any) -> Any:
            thread = self.request_tracker.start_request(name)
            try:
                return method(self, *args, **kwargs)
            finally:
                self.request_tracker.end_request(thread)

        tracked = track

    wrapped: Method = tracked
    functools.update_wrapper(wrapped, method)
    return wrapped

"""The life of an adapter in a process: made, set up, and closed, on the threads that are right for it.

Its module is imported on the main thread. Where one worker runs all tools, everything else happens
on that one: many a library wants to be used by the thread that has opened something (SQLite,
Playwright). With more workers it is the main thread, or the event loop's for what is asynchronous.
"""

from __future__ import annotations

import contextvars
import time

from ..calls import Pool, ToolThreads
from ..errors import AdapterError, CallError, UsageError
from ..loading import needs_token, resolve, trace_of, with_allowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..calls import Output
    from ..loading import LoadedAdapter
    from .settings import Settings

#: How long the threads may take for ``close_worker()`` when some of them still run a tool.
_MOMENT_S = 0.1


def find(settings: Settings) -> object:
    """The class or module that is to be served.

    Raises:
        AdapterError: there is none, or importing it failed.
        UsageError: it runs whatever its callers want, and these need not show a token.
    """
    found = resolve(settings.adapter, settings.app_dir)
    target = with_allowed(settings.adapter, found, settings.allow)
    if needs_token(target) and settings.grpc is not None and not settings.grpc.token_file:
        raise UsageError(
            f"{settings.adapter} does whatever its callers want: over gRPC it is served only to those "
            "with a token: --token-file FILE"
        )
    return target


def make_pool(
    max_workers: int, max_queue: int, output: Output | None = None, spare: int = 0
) -> Pool:
    """The pool for an adapter whose module was imported on the calling thread.

    What the module has set in ``contextvars`` holds in ``setup()`` and in the tools.
    """
    # one worker keeps its thread, unless another may have its place
    single = max_workers == 1 and not spare
    threads = ToolThreads(contextvars.copy_context(), single=single)
    return Pool(max_workers, max_queue, output, threads, spare)


def build_adapter(
    pool: Pool, build: Callable[[str, object], LoadedAdapter], name: str, target: object
) -> LoadedAdapter:
    """Make an instance of the class that was found, to be served by the pool.

    Raises:
        AdapterError: as ``build``; or there is no thread.
    """
    made: LoadedAdapter = _run(pool, lambda: pool.threads.run_hook(lambda: build(name, target)))
    if made.workers is not None:
        pool.max_workers = min(made.workers, pool.max_workers)
    return made


def set_up(pool: Pool, adapter: LoadedAdapter) -> None:
    """Set the adapter up, and a first thread for its tools.

    Raises:
        AdapterError: something of it failed, with the traceback; or there is no thread.
    """
    threads = pool.threads
    _run(pool, lambda: adapter.setup(threads.run_hook))
    threads.begin_calls(adapter)
    if adapter.setup_worker is None:
        return
    try:
        _on_worker(pool, threads.begin)
    except CallError as error:
        raise AdapterError(error.message) from error
    except BaseException as error:
        trace = trace_of(error)
        raise AdapterError(f"setup_worker() of {adapter.name} failed\n{trace}") from error


def max_async(adapter: LoadedAdapter, limit: int) -> int:
    """How many async calls may run at once. None may, and each takes its turn on the worker, where
    the adapter does not say that its tools may: tasks take turns in the middle of a call."""
    return limit if adapter.thread_safe else 0


def close(
    pool: Pool,
    adapter: LoadedAdapter,
    idle: bool,
    end_readers: Callable[[float], object] | None = None,
) -> None:
    """End the threads that run tools, and close the adapter. What ``close()`` raises comes through.

    Args:
        pool: what has served it; it is closed.
        adapter: which.
        idle: whether no thread runs a tool any more. One that does is not waited for, and if it is
            the only one, the calling thread closes the adapter.
        end_readers: has the threads end that run tools and are none of the pool's, until an
            instant at most.
    """
    threads = pool.threads

    def close_here() -> None:
        threads.end()
        adapter.close(threads.run_hook)

    if threads.single and (idle or all(worker.job is None for worker in pool.everyone())):
        # also while calls of async tools go on: the thread runs their loop, which nobody else can
        try:
            _on_worker(pool, close_here)
            return
        except CallError:
            pass  # there has never been a thread
        finally:
            pool.close()
    pool.close()
    if threads.closes_workers:
        end = time.monotonic() + (1e6 if idle else _MOMENT_S)
        if end_readers is not None:
            end_readers(end)
        for worker in pool.workers:
            if worker.thread is not None:
                worker.thread.join(max(0.0, end - time.monotonic()))
        threads.end_loop()
    adapter.close(threads.run_hook)


def _run(pool: Pool, function: Callable[[], Any]) -> Any:
    try:
        return _on_worker(pool, function) if pool.threads.single else function()
    except CallError as error:
        raise AdapterError(error.message) from error


def _on_worker(pool: Pool, function: Callable[[], Any]) -> Any:
    from ..calls import run_on_worker  # most adapters need nothing there

    return run_on_worker(pool, function)

"""Whether tools of an adapter run elsewhere, and what is served in their place then."""

from __future__ import annotations

import functools
import os
import sys

from ..errors import AdapterError, UsageError
from ..loading import LoadedAdapter, trace_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..engines import EngineSettings
    from ..engines.engine import Engine
    from ..loading import RunHook
    from ..tool import Tool
    from .settings import Settings

#: Of ``--engine``: every tool runs here, whatever the adapter says.
LOCAL = "local"


def engage(adapter: LoadedAdapter, settings: Settings) -> LoadedAdapter:
    """What is served: the adapter itself, or one whose tools run on its engine.

    Args:
        adapter: as it was found, not set up.
        settings: of the process; ``--engine`` comes before what the adapter says.

    Raises:
        AdapterError: the adapter asks for what cannot be.
        UsageError: the options do.
    """
    wish = engine_of(adapter, settings.engine)
    if wish is None:
        return adapter
    checks = settings.thread_safety
    if checks is not None and checks.wanted:
        raise UsageError("races are looked for in this process: --engine local runs all tools here")
    return _EngagedAdapter(adapter, wish, settings)


def engine_of(adapter: LoadedAdapter, name: str | None = None) -> EngineSettings | None:
    """The engine that an adapter, or one of its tools, asks for; None: there is none.

    Args:
        adapter: which.
        name: that of ``--engine``, which comes first; None: it is not there.

    Raises:
        AdapterError: it asks for several.
    """
    names = {tool.on for tool in adapter.tools.values() if tool.on is not None}
    engines: Any = sys.modules.get("bridge.engines")
    said: Any = getattr(adapter.target, "engine", None)
    if engines is None or not isinstance(said, engines.EngineSettings):
        said = None  # for example one of SQLAlchemy
    if name == LOCAL or (name is None and said is None and not names):
        return None
    from ..engines.settings import ENGINES

    if name is None:
        names |= set() if said is None else {said.name}
        if len(names) > 1 or not names <= set(ENGINES):
            there_are = " and ".join(sorted(ENGINES))
            raise AdapterError(
                f"{adapter.name} asks for {' and '.join(sorted(names))}; there are {there_are}, of which "
                "one adapter can use one"
            )
        if said is not None:
            return said  # type: ignore[no-any-return]
        wish = ENGINES[names.pop()]()
        wish.replicas = 0  # the rest of the adapter runs here
        return wish
    if said is not None and said.name == name:
        return said  # type: ignore[no-any-return]
    return ENGINES[name](
        getattr(said, "replicas", 2), concurrency=getattr(said, "concurrency", None)
    )


class _EngagedAdapter(LoadedAdapter):
    """An adapter whose tools run elsewhere, or some of them."""

    def __init__(self, inner: LoadedAdapter, wish: EngineSettings, settings: Settings) -> None:
        self._inner = inner
        replicas = settings.replicas or wish.replicas if wish.replicas else 0
        self._is_set_up_here = not replicas and any(t.on is None for t in inner.tools.values())
        if self._is_set_up_here and not inner.thread_safe:
            raise AdapterError(
                f"{inner.name}: some of its tools run on {wish.name}, the others here, where calls that wait "
                "for those must not hold up these. Declare it thread-safe (ThreadSafeAdapter; "
                "@tool(serial=True) for single tools), or run all of it there: "
                f"--engine {wish.name}"
            )
        concurrency = wish.concurrency or (8 if inner.thread_safe else 1)
        self._engine = _make_engine(wish, settings, replicas, concurrency)
        super().__init__(inner.name, inner.target, self._served())
        self.reports = {"engine": self._engine.report}
        self._wish = wish

    @property
    def thread_safe(self) -> bool:
        """Calls wait here at once; how many run at once in a replica is said there."""
        return True

    def setup(self, run: RunHook) -> None:  # type: ignore[override]
        if self._is_set_up_here:
            self._inner.setup(run)
        try:
            run(self._start)
        except AdapterError as error:
            raise AdapterError(f"{self.name} on {self._wish!r}: {error}") from error
        except BaseException as error:
            text = f"{self.name} on {self._wish!r} cannot be started\n{trace_of(error)}"
            raise AdapterError(text) from error

    def close(self, run: RunHook) -> None:  # type: ignore[override]
        try:
            run(self._engine.close)
        finally:
            if self._is_set_up_here:
                self._inner.close(run)

    @property
    def setup_worker(self) -> Callable[[], object] | None:
        return self._inner.setup_worker if self._is_set_up_here else None

    @property
    def close_worker(self) -> Callable[[], object] | None:
        return self._inner.close_worker if self._is_set_up_here else None

    @property
    def encoders(self) -> Any:
        return self._inner.encoders

    def _served(self) -> dict[str, Tool]:
        return {
            name: tool
            if self._is_set_up_here and tool.on is None
            else self._engine.remote(tool, None if tool.on is None else tool.needs)
            for name, tool in self._inner.tools.items()
        }

    async def _start(self) -> None:
        await self._engine.start()


def _make_engine(
    wish: EngineSettings, settings: Settings, replicas: int, concurrency: int
) -> Engine:
    from ..engines.engine import Engine
    from ..engines.settings import Ray
    from .replica import Replica

    app_dir = None if settings.app_dir is None else os.path.abspath(settings.app_dir)
    directories = (app_dir, os.getcwd())

    def host(at_once: int, on_main: bool) -> functools.partial[Replica]:
        return functools.partial(
            Replica,
            *(settings.adapter, directories, settings.allow, at_once, settings.max_async),
            *(settings.interrupt_abandoned_s, on_main),
        )

    try:
        if isinstance(wish, Ray):
            from ..engines.ray_cluster import RayCluster

            cluster: Any = RayCluster(wish, host(concurrency, False), host(1, True), concurrency)
        else:
            from ..engines.processes import ProcessCluster

            cluster = ProcessCluster(host(concurrency, False), host(1, True))
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        from ..requirements import remedy

        raise AdapterError(f"--engine ray needs Ray, which is not here: {remedy('ray')}") from None
    return Engine(cluster, replicas, concurrency)

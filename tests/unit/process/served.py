"""An adapter from its class to its end, as a process has it, but in the process of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from bridge.calls import Dispatcher
from bridge.loading import build
from bridge.process.adapter_life import build_adapter, close, make_pool, set_up
from bridge.wire import CallOptions, Request
from tests.tool_bench import ENDLESS, RecordingPeer


def thread() -> int:
    return threading.get_ident()


class Served:
    """An adapter from its class to its end."""

    def __init__(self, target: object, workers: int, build: Callable[..., Any] = build) -> None:
        self.pool = make_pool(workers, 16)
        self.adapter = build_adapter(self.pool, build, "Tools", target)
        self.target: Any = self.adapter.target
        set_up(self.pool, self.adapter)
        self.dispatcher = Dispatcher(self.adapter.tools, self.pool)
        self.peer = RecordingPeer()
        self._key = 0

    def call(self, name: str, *args: Any) -> Any:
        self._key = key = self._key + 1
        streams = self.adapter.tools[name].streaming
        options = CallOptions(credit=ENDLESS) if streams else None
        self.dispatcher.dispatch(Request(key, name, list(args), options), self.peer)
        answer = self.peer.answer(key)
        return self.peer.of("item", key) if streams else answer

    def close(self) -> None:
        assert self.dispatcher.wait_until_idle(20)
        close(self.pool, self.adapter, idle=True)

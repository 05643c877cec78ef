"""Places for what the peer sends, where the process is short of something."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.shared_memory import why_unavailable
from bridge.transports.stdio import memory
from bridge.wire import Request

pytestmark = pytest.mark.skipif(
    why_unavailable() is not None, reason=f"no shared memory here: {why_unavailable()}"
)
MIB = 1 << 20


def test_without_a_thread_memory_is_reserved_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under ``ulimit -v`` or ``-u``: through the pipe it would take more memory."""
    monkeypatch.setattr(memory, "start_thread", lambda thread: False)
    told: list[Any] = []
    places = memory.StdioMemory(lambda method, params: told.append(method), 64 * MIB, MIB, 64 * MIB)
    places.reserve(Request(1, "$/reserve", [2 * MIB]), told.append)
    assert told[0] == "$/memory"
    assert told[1] is not None
    assert (len(told), places.describe()["places"]) == (2, 1)

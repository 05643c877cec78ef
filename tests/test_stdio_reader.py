"""The thread that reads: when it cannot go on, the process must not live on unreachable."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from bridge.adapter import bind_tools
from bridge.dispatcher import Dispatcher
from bridge.pool import Pool
from bridge.transports.stdio import StdioTransport
from bridge.wire.codec import Encoder
from tests.helpers import frame
from tests.peers import passed


@pytest.mark.parametrize("inline", [True, False])
def test_a_bug_on_the_reader_counts_as_a_peer_that_is_gone(inline, monkeypatch):
    source, to_bridge = os.pipe()
    from_bridge, sink = os.pipe()
    gone, bugs = threading.Event(), []
    transport = StdioTransport(
        source,
        sink,
        max_message_bytes=1 << 20,
        gone=gone.set,
        shutdown=lambda: None,
        inline=inline,
    )

    def bug(events: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(transport, "_handle_all", bug)
    monkeypatch.setattr(threading, "excepthook", lambda args: bugs.append(args.exc_value))
    transport.start(Dispatcher(bind_tools(threading), Pool(2, 2)))
    os.write(to_bridge, frame(Encoder().request(1, "tool", [])))
    passed(gone)
    os.write(to_bridge, frame(Encoder().request(2, "tool", [])))
    os.close(to_bridge)
    assert [str(error) for error in bugs] == ["a bug"]
    transport._source.close()  # a process just ends
    for descriptor in (from_bridge, sink):
        os.close(descriptor)

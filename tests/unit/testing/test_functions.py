"""Functions that a bridge's tools can call, beside what ends meanwhile."""

from __future__ import annotations

import threading
from typing import Any

from bridge.errors import TransportClosed
from bridge.testing.functions import Functions
from bridge.wire import Request
from tests.waiting import passed


def test_a_function_that_returns_after_the_end_of_the_bridge_harms_nothing(monkeypatch):
    sent, failed = threading.Event(), []

    def send(message: bytes) -> None:
        sent.set()
        raise TransportClosed("the input of the program was closed here")

    def note(args: Any) -> None:
        failed.append(args.exc_value)

    monkeypatch.setattr(threading, "excepthook", note)
    before = set(threading.enumerate())
    Functions({"add": lambda a, b: a + b}, send).serve(Request(1, "add", [1, 2]))
    passed(sent)
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert failed == []

"""Progress and the answer of its call, sent by different threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bridge import Context, tool
from bridge.adapter import bind_tools
from bridge.calls.dispatcher import Dispatcher
from bridge.calls.pool import Pool
from bridge.wire.messages import Request
from tests.scripted import ScriptedLock
from tests.tool_bench import RecordingPeer
from tests.waiting import in_thread, join, passed, wait_until


class Tools:
    """A tool whose context is the test's."""

    def __init__(self) -> None:
        self.context: list[Context] = []
        self.leave = threading.Event()

    @tool
    def report(self, ctx: Context) -> None:
        self.context.append(ctx)
        passed(self.leave)


class Busy(RecordingPeer):
    """Takes its time to send progress."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def send_progress(self, *args: Any) -> None:
        self.begun.set()
        passed(self.go_on)
        super().send_progress(*args)


@pytest.mark.parametrize("end", ["return", "cancel"])
def test_progress_that_is_being_sent_comes_before_the_answer(end: str) -> None:
    """(1) The tool returns, or its caller cancels, while a thread of it reports."""
    tools, peer, waits = Tools(), Busy(), threading.Event()
    dispatcher = Dispatcher(bind_tools(tools), Pool(1, 1))
    dispatcher.dispatch(Request(1, "report", [], None), peer)
    wait_until(lambda: bool(tools.context), "the tool")
    dispatcher.calls[1]._reporting = ScriptedLock(  # type: ignore[assignment]
        before_acquire=waits.set,
        wanted=lambda: threading.current_thread() is not reporting,
    )
    reporting = threading.Thread(target=tools.context[0].progress, args=(1,))
    reporting.start()
    passed(peer.begun)
    ending = in_thread(tools.leave.set if end == "return" else lambda: dispatcher.cancel(1))
    wait_until(lambda: waits.is_set() or bool(peer.answers(1)), "whoever answers")
    peer.go_on.set()
    join(reporting, ending)
    peer.answer(1)
    assert [event[0] for event in peer.events] == [
        "progress",
        "result" if end == "return" else "error",
    ]
    tools.leave.set()
    dispatcher.pool.close()


def test_a_first_report_during_the_claim_is_dropped() -> None:
    """(2) The reporter makes the lock after whoever claims has looked for one."""
    tools, peer = Tools(), RecordingPeer()
    dispatcher = Dispatcher(bind_tools(tools), Pool(1, 1))
    dispatcher.dispatch(Request(1, "report", [], None), peer)
    wait_until(lambda: bool(tools.context), "the tool")

    class Calls(dict[int, Any]):
        def pop(self, *args: Any) -> Any:
            tools.context[0].progress(1)  # claimed, and not answered yet
            return super().pop(*args)

    dispatcher.runtime.calls = Calls(dispatcher.calls)
    tools.leave.set()
    wait_until(lambda: peer.answers(1), "the answer")
    assert [event[0] for event in peer.events] == ["result"]
    dispatcher.pool.close()

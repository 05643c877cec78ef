"""The hostile kinds of ``scripts/fuzz``: they find nothing, and would find what is out of order."""

from __future__ import annotations

import pytest

from bridge.testing.inbox import Inbox
from bridge.wire import Message, Notification, Response
from scripts.stress.fuzz.hostile import KINDS, WatchfulPeer, run


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_bridge_stands_it(kind: str) -> None:
    assert run(seed=1, seconds=0, kinds=[kind], rounds=2) == {kind: 1}


ANSWER = Response(1, None, 3)


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        ([ANSWER, ANSWER], "a second answer to request 1"),
        ([ANSWER, Notification("$/progress", [1, 0, 1, None])], "$/progress after the answer"),
        ([ANSWER, Notification("$/item", [1, 2])], "$/item after the answer"),
        ([Notification("$/bye", ["end"]), ANSWER], "after $/bye"),
    ],
    ids=["second answer", "progress", "item", "bye"],
)
def test_what_comes_out_of_order_is_noted(messages: list[Message], wrong: str) -> None:
    peer = WatchfulPeer.__new__(WatchfulPeer)
    Inbox.__init__(peer, None)
    peer.watch()
    for message in messages:
        peer._receive(message, 0)
    assert len(peer.wrong) == 1
    assert wrong in peer.wrong[0]

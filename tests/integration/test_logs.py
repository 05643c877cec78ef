"""What Python code logs reaches the peer, whenever it does, with all that is known of it."""

from __future__ import annotations

import os

import pytest

from bridge.errors import TransportClosed


def records(peer, text):
    """Level, fields and the call's id of all with this text that came so far."""
    logs = [params for method, params in peer.notifications if method == "$/log"]
    return [(level, fields, call) for level, _, line, fields, call in logs if line == text]


def test_every_record_reaches_the_peer_with_its_call_and_where_it_was_made(start):
    peer = start("--log-level", "debug", adapter="logging_tools:Shop")
    assert peer.first == "$/ready"
    peer.call("$/ping")  # comes after all that was logged before
    assert len(records(peer, "imported") + records(peer, "imported, in a thread")) == 2
    ((level, fields, call),) = records(peer, "set up")
    assert (level, fields["shelves"], call) == ("warning", [1, 2], None)
    assert os.path.basename(fields["pathname"]) == "logging_tools.py"
    assert (fields["funcName"], type(fields["lineno"])) == ("setup", int)

    def call_of(tool, text, order):
        """The one record that a call made, whose id is the call's."""
        stream = {"items": 9, "bytes": 999} if tool == "count" else None
        msgid = peer.request(tool, [order], **({} if stream is None else {"stream": stream}))
        result = peer.result(msgid)
        ((level, fields, call),) = [r for r in records(peer, text) if r[1]["order"] == order]
        assert (call, fields["bridge_tool"]) == (msgid, tool)
        return level, fields, result

    assert call_of("count", "one", 1)[0] == "debug"
    level, fields, _ = call_of("deliver", "on fire", 2)
    assert (level, fields["levelname"], fields["levelno"]) == ("error", "CRITICAL", 50)
    # it is quick, so on an idle machine the last of them run on the reader
    for order in range(40):
        assert call_of("sell", "sold", order)[0] == "info"

    peer.call("hand_over", [3])
    ((level, fields, call),) = records(peer, "by another")
    assert (level, call) == ("info", None)


def test_what_was_logged_before_a_start_that_failed_is_on_stderr(start):
    with pytest.raises(TransportClosed) as caught:
        start(adapter="logging_tools:Closed")
    lines = str(caught.value).splitlines()
    assert lines.index("warning shop: no key fits") < max(
        number for number, line in enumerate(lines) if "closed" in line
    )

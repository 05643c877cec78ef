"""Whatever arrives, its caller learns what was wrong, and other calls go on."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import msgpack
import pytest

from bridge.errors import CallError
from bridge.wire.framing import encode_header


def error_of(peer, msgid):
    with pytest.raises(CallError) as caught:
        peer.result(msgid)
    return caught.value


def fault(peer, text):
    (error,) = peer.notification("$/error", lambda p: text in p[0]["message"])
    return error


def test_an_unknown_tool_is_named_with_those_that_exist(peer):
    error = error_of(peer, peer.request("ecko", [1]))
    assert error.code == "not_found"
    assert "'ecko'" in error.message
    assert "echo" in error.message


@pytest.mark.parametrize("prefix", ["", "$/"])
def test_a_very_long_name_is_not_sent_back(peer, prefix):
    error = error_of(peer, peer.request(prefix + "\0" * (1 << 20)))
    assert len(error.message) < 1000


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ([], "missing argument 'value'"),
        ([1, 2], "takes 1 by position, got 2"),
        ({"valu": 1}, "unknown argument 'valu'"),
        ({1: 2}, "unknown argument 1"),
    ],
)
def test_wrong_arguments_name_the_parameter_and_the_signature(peer, params, words):
    error = error_of(peer, peer.request("echo", params))
    assert error.code == "invalid_argument"
    assert words in error.message
    assert "echo(value: Any)" in error.message


#: Names that no parameter has, as a program may make them of its users' data.
ODD_NAMES = [
    2**64,
    -(2**20_000),
    1.5,
    None,
    True,
    b"\xff",
    "\0" * (1 << 20),
    datetime(1, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("tool", ["echo", "$/ping", "no such tool"])
def test_arguments_of_any_name_end_only_their_own_call(peer, tool):
    for names in ([name] for name in ODD_NAMES), (ODD_NAMES, range(10_000)):
        for some in names:
            params = dict.fromkeys(some, 1)
            wrong = peer.request(tool, params)
            assert error_of(peer, wrong).code in ("invalid_argument", "not_found")
    assert peer.call("echo", [1]) == 1


def test_very_many_unknown_arguments_are_counted_and_not_listed(peer):
    error = error_of(peer, peer.request("echo", {f"{n:05}": n for n in range(1000)}))
    assert "unknown argument '00000', '00001'" in error.message
    assert "and 990 more; the tool is echo(value: Any)" in error.message


def test_an_unknown_option_is_refused(peer):
    error = error_of(peer, peer.request("echo", [1], colour="red"))
    assert error.code == "invalid_argument"
    assert "'colour'" in error.message


def test_an_unknown_request_of_the_bridge_is_unimplemented(peer):
    assert error_of(peer, peer.request("$/teleport")).code == "unimplemented"


def test_an_oversized_frame_is_refused_on_its_header_and_skipped(start):
    peer = start("--max-message-bytes", "100000")
    body = msgpack.packb([0, 77, "echo", [bytes(1_000_000)]])
    peer.send_bytes(encode_header(len(body)) + body[:20])
    # answered although 980,000 bytes of it are still to come
    error = error_of(peer, 77)
    assert error.code == "resource_exhausted"
    assert "100000" in error.message
    peer.send_bytes(body[20:])
    assert peer.call("echo", [1]) == 1


def test_random_bytes_in_a_frame_are_reported(peer):
    random.seed(4)
    for size in range(1, 200):
        peer.send_frame(b"\xc1" + random.randbytes(size))
    assert peer.call("echo", [1]) == 1
    assert fault(peer, "not a MessagePack message")["code"] == "invalid_argument"


def test_a_truncated_request_is_answered_at_its_id(peer):
    peer.send_frame(msgpack.packb([0, 500, "echo", ["long enough"]])[:-3])
    assert error_of(peer, 500).code == "invalid_argument"


def test_bytes_behind_the_message_are_refused(peer):
    peer.send_frame(msgpack.packb([0, 501, "echo", [1]]) + b"\0\0")
    assert "2 bytes follow" in error_of(peer, 501).message


def test_an_empty_frame_is_reported(peer):
    peer.send_frame(b"")
    assert fault(peer, "incomplete")


def test_nesting_without_end_is_refused(peer):
    peer.send_frame(b"\x94\x00\xcd\x01\xf6\xa4echo" + b"\x91" * 100_000 + b"\xc0")
    assert "nested too deeply" in error_of(peer, 502).message


def test_an_id_in_flight_is_reported_and_the_first_call_goes_on(peer):
    msgid = peer.request("cooperative")
    peer.notification("$/progress")
    peer.send_frame(msgpack.packb([0, msgid, "echo", ["second"]]))
    error = fault(peer, "in flight already")
    assert (error["code"], error["details"]) == ("already_exists", {"id": msgid})
    peer.cancel(msgid)
    assert error_of(peer, msgid).code == "cancelled"
    assert len(peer.responses[msgid]) == 1


def test_a_result_that_cannot_be_encoded_names_tool_type_and_path(peer):
    error = error_of(peer, peer.request("unencodable"))
    assert error.code == "internal"
    assert "unencodable" in error.message
    assert "result.scores[3]" in error.message
    assert "lock" in error.message


def test_a_notification_that_names_a_tool_is_reported(peer):
    peer.notify("echo", 1)
    assert "'echo' came as a notification" in fault(peer, "notification")["message"]


def test_a_message_of_an_unknown_type_is_reported(peer):
    peer.send_frame(msgpack.packb([9, 1, 2]))
    assert fault(peer, "no message: type 9")


def test_text_that_is_not_utf8_arrives_as_bytes(peer):
    peer.send_frame(b"\x94\x00\xcd\x02\x00\xa7type_of\x91\xa2\xff\xfe")
    assert peer.result(512) == "bytes"


def test_a_cancel_of_what_is_not_in_flight_changes_nothing(peer):
    peer.cancel(12345)
    assert peer.call("echo", [1]) == 1
    assert peer.responses.keys() == {1}

"""The fuzzers on a small scale: the corpus, some thousand mutants, and that they can find faults."""

from __future__ import annotations

from random import Random

import pytest

from bridge.errors import RemoteProtocolError, shorten
from bridge.wire.codec import decode_message
from bridge.wire.framing import FrameDecoder
from bridge.wire.messages import Request
from scripts.stress.fuzz import canaries, live
from scripts.stress.fuzz.corpus import corpus, read_frames, write_frames
from scripts.stress.fuzz.live_bridge import Bridge, Finding
from scripts.stress.fuzz.mutations import CANARY_ID, mutant
from scripts.stress.fuzz.reference import Shape, split
from scripts.stress.fuzz.rules import try_to_decode
from scripts.stress.fuzz.targets import TARGETS

CORPUS = [(target, name, data) for target in TARGETS for name, data in corpus(target).items()]


@pytest.mark.parametrize(
    ("target", "data"),
    [(target, data) for target, _, data in CORPUS],
    ids=[f"{target}-{name}" for target, name, _ in CORPUS],
)
def test_every_input_of_the_corpus_is_handled_as_it_must_be(target, data):
    TARGETS[target](data)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_mutants_are_handled_as_they_must_be(target):
    random = Random(target)
    for _ in range(100):
        some = [mutant(random)[:250] for _ in range(3)]
        if target == "framing":
            data = random.randbytes(2) + write_frames(some)
        elif target == "connection":
            data = b"".join(bytes([random.randrange(256), len(d)]) + d for d in some)
        else:
            data = some[0]
        TARGETS[target](data)


def test_a_live_bridge_answers_mutants_and_every_good_request_between_them():
    frames = live.mutants(seed=1, batch=0, size=3000)
    with Bridge() as bridge:
        bridge.send(frames)
        stats = bridge.finish()
        assert bridge.canaries.answered == bridge.canaries.made > 100
        assert bridge.answered == bridge.owed > 2000
        assert stats["tools"]["echo"]["calls"] > 100


def test_an_option_that_is_nested_deeply_does_not_end_the_process():
    # repr() of such a value raises RecursionError up to Python 3.11, which once ended the reader
    deep = b"\x91" * 1000 + b"\xc0"
    with pytest.raises(RemoteProtocolError, match="option 'session' must be text"):
        decode_message(b"\x95\x00\x01\xa1x\x90\x81\xa7session" + deep)


def test_what_python_cannot_print_is_shortened_all_the_same():
    value: list[object] = []
    for _ in range(200_000):
        value = [value]
    assert shorten(value) == "[" * 57 + "..."


def test_mutants_never_ask_for_the_end_nor_take_the_id_of_a_good_request():
    random = Random(1)
    frames = [mutant(random) for _ in range(5_000)]
    assert not any(b"$/shutdown" in frame or CANARY_ID in frame for frame in frames)
    # most are wrong somehow, but not all
    good = sum(isinstance(try_to_decode(frame), Request) for frame in frames)
    assert 0.1 < good / len(frames) < 0.6


def test_the_same_seed_makes_the_same_frames():
    assert live.mutants(3, 5, 300) == live.mutants(3, 5, 300) != live.mutants(3, 6, 300)


def test_frames_survive_the_file_they_are_kept_in():
    frames = [b"", b"x", bytes(70_000)]
    assert read_frames(write_frames(frames)) == frames


# -- they can find something ------------------------------------------------------------------


def test_a_decoder_that_loses_a_frame_is_found(monkeypatch):
    whole = FrameDecoder.buffer_updated
    monkeypatch.setattr(FrameDecoder, "buffer_updated", lambda self, n: whole(self, n)[:1])
    with pytest.raises(AssertionError, match="frames differ"):
        TARGETS["framing"](corpus("framing")["empty_frames"])


def test_a_frame_that_is_answered_too_often_or_not_at_all_is_found():
    for owed in (0, 2):
        with Bridge() as bridge:
            bridge.send([b"\xc1"])
            bridge.owed = owed
            with pytest.raises(Finding, match=f"1 answers to frames that have {owed}"):
                bridge.settle()


def test_a_wrong_answer_and_a_second_one_to_a_good_request_are_found():
    found: list[str] = []
    some = canaries.Canaries(found.append)
    number = some.make()[4 + 2 + len(CANARY_ID) :][:4]
    head = canaries.RESPONSE
    some.check(head + number + b"\xc0\xc3", head)
    assert "a wrong answer to" in found.pop()
    some.check(head + number + b"\xc0\xc0", head)
    assert "nobody waits for" in found.pop()


def test_a_process_that_dies_is_found():
    with Bridge() as bridge:
        bridge.process.kill()
        bridge.send([b"\xc1"])
        with pytest.raises(Finding, match="has ended"):
            bridge.settle()


def test_the_plain_reading_of_frames_and_values():
    assert split(b"\0\0\0\1x\0\0\0\5abcde\0\0", limit=4) == [b"x", (5, b"abcde")]
    assert Shape(b"\x92\x01\x81\xa1a\xc0").complete
    assert not Shape(b"\x92\x01").complete
    assert not Shape(b"\x01\x01").complete
    assert not Shape(b"\xdd\xff\xff\xff\xff").complete
    assert Shape(b"\x91" * 7 + b"\xc0").depth == 7
    assert not Shape(b"\x81\x90\x01").plain

"""Which tools have shown that they are quick."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.latency import NEVER, PROVING, QUICK, QUICK_S, LatencyGate

FAST, SLOW = QUICK_S / 10, QUICK_S * 10


def runs(gate: LatencyGate, seconds: float, number: int) -> None:
    for _ in range(number):
        gate.note(seconds)


def test_eight_quick_runs_in_a_row_prove_it():
    gate = LatencyGate()
    runs(gate, FAST, 7)
    assert gate.state == PROVING
    runs(gate, FAST, 1)
    assert gate.state == QUICK


def test_a_slow_run_in_between_begins_all_over_again():
    gate = LatencyGate()
    runs(gate, FAST, 7)
    runs(gate, SLOW, 1)
    runs(gate, FAST, 7)
    assert gate.state == PROVING
    runs(gate, FAST, 1)
    assert gate.state == QUICK


def proven() -> LatencyGate:
    gate = LatencyGate()
    runs(gate, FAST, 8)
    assert gate.state == QUICK
    return gate


def test_a_tool_that_has_proven_quick_stays_so_for_some_slow_runs():
    gate = proven()
    for _ in range(100):
        gate.note(SLOW)
        runs(gate, FAST, 8)
        assert gate.state == QUICK
    runs(gate, SLOW, 5)
    assert gate.state == QUICK
    runs(gate, SLOW, 1)
    assert gate.state == PROVING


def test_it_stays_so_if_it_holds_the_reader_up_once_but_not_twice():
    gate = proven()
    for _ in range(100):
        gate.slow()
        runs(gate, FAST, 32)
        assert gate.state == QUICK
    gate.slow()
    gate.slow()
    assert gate.state == PROVING


def lapse(gate: LatencyGate) -> None:
    while gate.state == QUICK:
        gate.slow()


def test_each_lapse_makes_it_twice_as_hard_to_prove():
    gate = LatencyGate()
    for wanted in (8, 16, 32):
        runs(gate, FAST, wanted - 1)
        assert gate.state == PROVING
        runs(gate, FAST, 1)
        assert gate.state == QUICK
        lapse(gate)
        assert gate.state == PROVING


def test_what_was_lost_is_forgiven_in_time():
    gate = proven()
    lapse(gate)
    runs(gate, FAST, 16 + 1024)
    lapse(gate)
    runs(gate, FAST, 15)
    assert gate.state == PROVING
    runs(gate, FAST, 1)
    assert gate.state == QUICK


def test_it_never_gets_so_hard_that_nothing_proves_it():
    gate = LatencyGate()
    for _ in range(40):
        runs(gate, FAST, 4096)
        assert gate.state == QUICK
        lapse(gate)


@given(st.lists(st.sampled_from([FAST, SLOW])))
def test_what_waits_for_others_is_never_quick(seconds):
    declared, found_out = LatencyGate(never=True), LatencyGate()
    found_out.never()
    for each in seconds:
        declared.note(each)
        found_out.note(each)
    assert (declared.state, found_out.state) == (NEVER, NEVER)


@given(st.lists(st.sampled_from([FAST, SLOW])))
def test_a_quick_tool_has_had_eight_quick_runs_in_a_row_and_few_slow_ones_since(seconds):
    gate = LatencyGate()
    for each in seconds:
        gate.note(each)
    if gate.state == QUICK:
        text = "".join("f" if each == FAST else "S" for each in seconds)
        since = text[text.index("f" * 8) :]
        assert since.count("S") * 8 < 48 + since.count("f") * 8
        assert "S" * 6 not in text[-6:]

"""Which tools have shown that they are quick."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.inline.latency import NEVER, PROVING, QUICK, QUICK_S, Pace

FAST, SLOW = QUICK_S / 10, QUICK_S * 10


def runs(pace: Pace, seconds: float, number: int) -> None:
    for _ in range(number):
        pace.note(seconds)


def test_eight_quick_runs_in_a_row_prove_it():
    pace = Pace()
    runs(pace, FAST, 7)
    assert pace.state == PROVING
    runs(pace, FAST, 1)
    assert pace.state == QUICK


def test_a_slow_run_in_between_begins_all_over_again():
    pace = Pace()
    runs(pace, FAST, 7)
    runs(pace, SLOW, 1)
    runs(pace, FAST, 7)
    assert pace.state == PROVING
    runs(pace, FAST, 1)
    assert pace.state == QUICK


def test_each_lapse_makes_it_twice_as_hard_to_prove():
    pace = Pace()
    for wanted in (8, 16, 32):
        runs(pace, FAST, wanted - 1)
        assert pace.state == PROVING
        runs(pace, FAST, 1)
        assert pace.state == QUICK
        pace.slow()
        assert pace.state == PROVING


def test_it_never_gets_so_hard_that_nothing_proves_it():
    pace = Pace()
    for _ in range(40):
        runs(pace, FAST, 5000)
        assert pace.state == QUICK
        pace.slow()


@given(st.lists(st.sampled_from([FAST, SLOW])))
def test_what_waits_for_others_is_never_quick(seconds):
    declared, found_out = Pace(never=True), Pace()
    found_out.never()
    for each in seconds:
        declared.note(each)
        found_out.note(each)
    assert (declared.state, found_out.state) == (NEVER, NEVER)


@given(st.lists(st.sampled_from([FAST, SLOW])))
def test_a_quick_tool_has_eight_quick_runs_behind_it(seconds):
    pace = Pace()
    for each in seconds:
        pace.note(each)
    if pace.state == QUICK:
        assert seconds[-8:] == [FAST] * 8

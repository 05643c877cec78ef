"""Histograms and tallies: bounds hold, and adding up loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.stats import Histogram, ToolStats, add_up

microseconds = st.integers(0, 10**12)
durations = st.lists(microseconds, max_size=50)


def filled(values):
    histogram = Histogram()
    for value in values:
        # in the middle of the microsecond, so that no rounding moves it
        histogram.add((value + 0.5) / 1e6)
    return histogram


def tallied(values, errors=0):
    tally = ToolStats()
    tally.errors = errors
    tally.wait, tally.run = filled(values[:1]), filled(values)
    return tally


def test_an_empty_histogram_has_zeros():
    assert Histogram().describe() == {"count": 0, "total_s": 0.0, "p50_us": 0, "p99_us": 0, "below_us": {}}  # fmt: skip


@given(durations.filter(bool), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_bounded_from_above_and_right_to_a_factor_of_two(values, share):
    ordered = sorted(values)
    rank = next(n for n in range(1, len(ordered) + 1) if n >= share * len(ordered))
    exact = ordered[rank - 1]
    bound = filled(values).quantile_us(share)
    assert exact < bound
    assert bound <= max(1, 2 * exact)


@given(durations)
def test_every_duration_is_counted_in_the_row_that_holds_it(values):
    below = filled(values).describe()["below_us"]
    assert below == {
        bound: sum(bound // 2 <= value < bound for value in values)
        for bound in {1 << value.bit_length() for value in values}
    }


@given(durations)
def test_count_and_total_are_those_of_what_was_added(values):
    described = filled(values).describe()
    assert described["count"] == len(values)
    assert described["total_s"] == pytest.approx(sum(value + 0.5 for value in values) / 1e6)


@given(durations, durations)
def test_merging_is_the_same_as_adding_to_one(first, second):
    merged = filled(first)
    merged.merge(filled(second))
    whole = filled([*first, *second])
    assert merged.counts == whole.counts
    assert merged.total_s == pytest.approx(whole.total_s)


@given(st.lists(st.tuples(durations, st.integers(0, 9)), max_size=5))
def test_the_sum_of_tallies_is_their_sum_and_changes_none_of_them(parts):
    tallies = [tallied(values, errors) for values, errors in parts]
    before = [tally.describe() for tally in tallies]
    total = add_up(iter(tallies)).describe()
    assert [tally.describe() for tally in tallies] == before
    assert total["calls"] == sum(len(values) for values, _ in parts)
    assert total["errors"] == sum(errors for _, errors in parts)
    everything = [value for values, _ in parts for value in values]
    assert total["run_time"]["below_us"] == filled(everything).describe()["below_us"]
    assert total["queue_wait"]["count"] == sum(bool(values) for values, _ in parts)

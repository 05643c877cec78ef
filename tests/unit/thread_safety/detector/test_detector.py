"""The race detector alone: events in, findings out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.thread_safety.detector.access_modes import (
    COPY,
    GROW,
    ITERATE,
    PEEK,
    READ,
    REORDER,
    SHRINK,
    TOUCH,
    WRITE,
)
from bridge.thread_safety.detector.detector import Detector
from bridge.thread_safety.detector.findings import DISCIPLINE, DOCUMENTED, OBSERVED, Access, Finding

MODES = [READ, WRITE, TOUCH, PEEK, COPY, ITERATE, GROW, SHRINK, REORDER]
WRITES = [WRITE, REORDER]
threads = st.sampled_from("ABC")
modes = st.sampled_from(MODES)


class Scene:
    """A detector with what it found. Each thread is one call, unless a test says otherwise."""

    def __init__(self):
        self.found = []
        self.detector = Detector(self.found.append)

    def access(self, thread, mode, line=1, *, part="x", call=None, **more):
        stack = (("tools.py", line, "tool"),)
        self.detector.access(thread, "owner", part, mode, "x", stack, call or thread, **more)

    def acquire(self, thread, *locks):
        for lock in locks:
            self.detector.order.acquire(thread, lock)

    def release(self, thread, *locks):
        for lock in locks:
            self.detector.order.release(thread, lock)

    def locked(self, thread, mode, *locks, line=1, **more):
        self.acquire(thread, *locks)
        self.access(thread, mode, line, **more)
        self.release(thread, *locks)

    def hand_over(self, giver, taker):
        self.detector.order.receive(taker, self.detector.order.send(giver))

    def test(self, thread, mark, test="if"):
        self.detector.decide(thread, thread, test, mark, ())


@pytest.fixture
def scene():
    return Scene()


# -- locks ----------------------------------------------------------------------------------


@given(st.lists(st.tuples(threads, modes, st.frozensets(st.sampled_from("lm")), st.integers(1, 9))))
def test_no_report_when_all_accesses_hold_one_lock(events):
    scene = Scene()
    for thread, mode, others, line in events:
        scene.locked(thread, mode, "common", *sorted(others), line=line)
    # a look in one hold and a change in the next one of the same call is a race of another kind
    assert all("earlier look" in finding.problem for finding in scene.found)


@given(st.lists(st.tuples(threads, modes, st.integers(1, 9)), min_size=1))
def test_no_report_when_every_access_is_handed_over(events):
    scene, last = Scene(), None
    for thread, mode, line in events:
        if last is not None:
            scene.hand_over(last, thread)
        scene.access(thread, mode, line)
        last = thread
    assert scene.found == []


@given(
    st.sampled_from(WRITES),
    st.lists(st.tuples(threads, modes), max_size=8),
    st.sampled_from(["AB", "BC", "CA"]),
)
def test_two_unordered_writes_without_a_lock_are_always_reported(mode, before, pair):
    scene = Scene()
    for thread, other in before:
        scene.access(thread, other)
    for thread in pair:
        scene.access(thread, mode)
    assert scene.found


@given(st.lists(st.tuples(threads, modes, st.sampled_from(["", "l", "m", "lm"]))))
def test_one_thread_never_races_with_itself(events):
    scene = Scene()
    for _, mode, locks in events:
        scene.locked("A", mode, *locks)
    assert scene.found == []


def test_different_locks_do_not_help(scene):
    scene.locked("A", WRITE, "l")
    scene.locked("B", WRITE, "m")
    (finding,) = scene.found
    assert "not the same one" in finding.advice


def test_a_lock_on_one_side_does_not_help(scene):
    scene.locked("A", WRITE, "l")
    scene.access("B", WRITE)
    assert "only one of them" in scene.found[0].advice


def test_locks_make_no_order(scene):
    """In the next run they are taken the other way round."""
    scene.access("A", WRITE)
    scene.acquire("A", "l")
    scene.release("A", "l")
    scene.acquire("B", "l")
    scene.release("B", "l")
    scene.access("B", WRITE)
    assert scene.found


def test_a_lock_that_was_not_held_is_released_without_effect(scene):
    scene.release("A", "l")
    assert scene.detector.order.held("A") == frozenset()


# -- hand-overs -------------------------------------------------------------------------------


def test_what_comes_after_the_hand_over_was_not_handed_over(scene):
    clock = scene.detector.order.send("A")
    scene.access("A", WRITE)
    scene.detector.order.receive("B", clock)
    scene.access("B", READ)
    assert scene.found


def test_a_hand_over_is_passed_on(scene):
    scene.access("A", WRITE)
    scene.hand_over("A", "B")
    scene.hand_over("B", "C")
    scene.access("C", WRITE)
    assert scene.found == []


def test_what_is_forgotten_races_no_more(scene):
    scene.access("A", WRITE)
    scene.detector.forget("owner")
    scene.access("B", WRITE)
    assert scene.found == []


# -- what is atomic, and what is decided --------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "race"),
    [
        (READ, READ, False), (READ, WRITE, True), (WRITE, WRITE, True), (TOUCH, TOUCH, False),
        (WRITE, TOUCH, True), (GROW, GROW, False), (GROW, SHRINK, False), (PEEK, GROW, False),
        (ITERATE, GROW, True), (ITERATE, SHRINK, True), (ITERATE, REORDER, True),
        (PEEK, REORDER, True), (COPY, REORDER, True), (COPY, GROW, False), (REORDER, GROW, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("swapped", [False, True])
def test_which_uses_of_a_container_race(scene, one, other, race, swapped):
    first, second = (other, one) if swapped else (one, other)
    scene.access("A", first)
    scene.access("B", second)
    assert bool(scene.found) == race


@pytest.mark.parametrize("change", [GROW, SHRINK, TOUCH, WRITE])
def test_a_look_and_a_change_without_a_lock_over_both_race(scene, change):
    for thread in "AB":
        scene.locked(thread, PEEK)
        scene.locked(thread, change)
    assert scene.found
    assert "from the look to the change" in scene.found[0].advice


def test_a_lock_let_go_between_look_and_change_does_not_help(scene):
    for thread in "AB":
        scene.locked(thread, READ, "l")
        scene.locked(thread, WRITE, "l")
    assert scene.found


def test_another_call_of_the_thread_decides_anew(scene):
    for thread in "AB":
        scene.locked(thread, READ, "l", call=thread + "1")
        scene.locked(thread, WRITE, "l", call=thread + "2")
    assert scene.found == []


def test_a_copy_and_an_addition_have_nothing_to_do_with_each_other(scene):
    for thread in "AB":
        scene.access(thread, COPY)
        scene.access(thread, GROW)
    assert scene.found == []


def test_a_test_makes_the_later_plus_equals_a_decision(scene):
    for thread in "AB":
        scene.locked(thread, READ, "l")
        scene.test(thread, 0)
        scene.acquire(thread, "l")
        scene.access(thread, READ, augmented=True)
        scene.access(thread, WRITE)
        scene.release(thread, "l")
    assert scene.found


def test_a_test_that_is_settled_decides_no_more(scene):
    for thread in "AB":
        scene.locked(thread, READ, "l")
        scene.test(thread, 0)
        scene.detector.calls.settle(thread, "if")
        scene.acquire(thread, "l")
        scene.access(thread, READ, augmented=True)
        scene.access(thread, WRITE)
        scene.release(thread, "l")
    assert scene.found == []


def test_a_local_variable_carries_its_looks_to_the_test(scene):
    for thread in "AB":
        scene.locked(thread, PEEK, "l")
        scene.detector.calls.name(thread, "room", 0, ())
        mark = scene.detector.calls.mark(thread)
        scene.detector.decide(thread, thread, "if", mark, ["room"])
        scene.locked(thread, GROW, "l")
    assert scene.found


def test_an_atomic_change_that_looks_again_forgets_the_look(scene):
    for thread in "AB":
        scene.access(thread, READ)
        scene.detector.look_again(thread, "owner", "x")
        scene.access(thread, TOUCH)
    assert scene.found == []


def test_one_torn_decision_is_enough_if_others_test_the_same(scene):
    scene.locked("A", READ, "l", line=1)
    scene.test("A", 0)
    scene.locked("A", TOUCH, "l", line=2)
    scene.locked("B", READ, "l", line=1)
    assert scene.found


# -- orders that a program makes itself ----------------------------------------------------------


def busy(scene, thread, mode):
    """``with lock: while busy: wait``; ``busy = True``; work; ``with lock: busy = False``"""
    mark = scene.detector.calls.mark(thread)
    scene.acquire(thread, "l")
    scene.access(thread, READ, part="busy")
    scene.test(thread, mark)
    scene.access(thread, WRITE, part="busy")
    scene.release(thread, "l")
    scene.access(thread, mode)
    scene.locked(thread, WRITE, "l", part="busy")


def test_a_flag_under_a_lock_keeps_apart_what_it_guards(scene):
    for thread in "ABA":
        busy(scene, thread, WRITE)
    assert scene.found == []


def test_a_flag_that_nobody_tests_keeps_nothing_apart(scene):
    for thread in "AB":
        scene.locked(thread, WRITE, "l", part="busy")
        scene.access(thread, WRITE)
        scene.locked(thread, WRITE, "l", part="busy")
    assert scene.found


def test_the_order_of_a_decision_does_not_excuse_its_own_steps(scene):
    for thread in "AB":
        mark = scene.detector.calls.mark(thread)
        scene.locked(thread, READ, "l", part="rooms")
        scene.test(thread, mark)
        scene.locked(thread, WRITE, "l", part="rooms")
    assert scene.found


# -- publication ----------------------------------------------------------------------------------


def test_what_is_written_once_under_a_lock_may_be_read_without(scene):
    scene.access("B", READ)
    scene.locked("A", WRITE, "l")
    scene.access("B", READ)
    assert scene.found == []


def test_but_not_if_it_is_written_after_it_was_published(scene):
    scene.access("B", READ)
    scene.locked("A", WRITE, "l", unfinished=True)
    scene.access("B", READ)
    assert scene.found


def test_a_flag_that_is_raised_too_early(scene):
    def begin(thread):
        mark = scene.detector.calls.mark(thread)
        scene.access(thread, READ, part="ready")
        scene.test(thread, mark)

    begin("A")
    begin("B")
    scene.acquire("A", "l")
    scene.access("A", WRITE, part="ready")
    scene.access("A", WRITE, part="table")
    scene.release("A", "l")
    scene.access("B", READ, part="table")
    assert scene.found


# -- findings -------------------------------------------------------------------------------------


def test_a_finding_names_both_accesses(scene):
    scene.locked("A", WRITE, "l", line=3)
    scene.access("B", WRITE, line=7)
    (finding,) = scene.found
    assert (finding.evidence, finding.variable) == (DISCIPLINE, "x")
    assert (finding.first.thread, finding.second.thread) == ("A", "B")
    assert (finding.first.stack[0][1], finding.second.stack[0][1]) == (3, 7)
    assert (finding.first.locks, finding.second.locks) == (frozenset("l"), frozenset())


def test_a_finding_does_not_change_when_the_threads_go_on(scene):
    scene.access("A", WRITE, line=3)
    scene.access("B", WRITE, line=7)
    scene.access("A", WRITE, line=30)
    assert scene.found[0].first.stack[0][1] == 3


def test_each_pair_of_lines_is_reported_once(scene):
    for _ in range(5):
        scene.access("A", WRITE, line=3)
        scene.access("B", WRITE, line=7)
    assert len(scene.found) == 1
    scene.access("C", WRITE, line=9)
    assert len(scene.found) == 2


def test_calls_that_ran_at_the_same_time_are_observed(scene):
    scene.detector.calls.begin("first")
    scene.access("A", WRITE, call="first")
    scene.access("B", WRITE, call="second")
    assert scene.found[0].evidence == OBSERVED


def test_calls_that_had_ended_are_a_matter_of_discipline(scene):
    scene.detector.calls.begin("first")
    scene.access("A", WRITE, call="first")
    scene.detector.calls.end("first")
    scene.access("B", WRITE, call="second")
    assert scene.found[0].evidence == DISCIPLINE


def test_tasks_of_one_loop_race_only_between_look_and_change(scene):
    scene.access("loop", READ, call="one")
    scene.access("loop", WRITE, call="two")
    assert scene.found == []
    scene.access("loop", WRITE, call="one")
    assert scene.found[0].evidence == OBSERVED


def test_what_is_documented_is_said(scene):
    for thread in "AB":
        scene.access(thread, WRITE, rule="one connection for each thread")
    (finding,) = scene.found
    assert (finding.evidence, finding.advice) == (DOCUMENTED, "one connection for each thread")


def test_other_rules_report_once_as_well(scene):
    access = Access("A", 0, "change", frozenset(), (("f", 1, "g"),), None)
    for _ in range(2):
        scene.detector.report(Finding(DOCUMENTED, "cwd", "changed", "do not", access))
    assert len(scene.found) == 1


def test_what_came_between_is_no_earlier_call_of_the_same_thread(scene):
    scene.access("A", WRITE, 1, call="earlier")
    scene.access("A", READ, 2, call="later")
    scene.access("B", WRITE, 3, call="other")
    scene.access("A", WRITE, 4, call="later")
    assert scene.found
    assert all(finding.first.thread != finding.second.thread for finding in scene.found)

"""The report for people and for programs."""

from __future__ import annotations

import json

from bridge.thread_safety.detector.findings import DISCIPLINE, DOCUMENTED, Access, Finding
from bridge.thread_safety.reports import Report

COUNTS = {
    "tools": {"add": {"calls": 4, "threads": 2, "most_at_once": 2}},
    "threads": {"1": {"busy_s": 0.5, "utilisation": 0.5}, "2": {"busy_s": 0.1, "utilisation": 0.1}},
    "overlaps": {"add and add": 3},
}


def access(thread, mode, line, *locks):
    return Access(thread, 1, mode, frozenset(locks), ((__file__, line, "add"),), None)


RACE = Finding(
    DISCIPLINE, "Tools.count", "both write", "hold a lock",
    access(1, "write", 1), access(2, "write", 3, "a", "b"),
)  # fmt: skip
RULE = Finding(DOCUMENTED, "os.chdir", "changes it", "do not", access(1, "change", 5, "a"))


def test_the_text_has_all_parts():
    text = Report([RACE, RULE], COUNTS).text
    for words in (
        "Summary", "tools called:      1", "calls:             4", "threads:           2",
        "findings:          2", "Concurrent accesses", "add: 4 calls on 2 threads, at most 2 at once",
        "Finding 1", "Tools.count: both write", "thread 1 writes it, without a lock",
        "holding 2 locks", "holding a lock", f"{__file__}:1 in add", "The report for people",
        "advice: hold a lock", "Recommendations", "- os.chdir: do not",
    ):  # fmt: skip
        assert words in text, words


def test_a_place_without_a_file_is_named_only():
    change = Access(1, 0, "change", frozenset(), (("", 0, "spoil"),), "spoil")
    text = Report([Finding(DOCUMENTED, "the locale", "changed", "do not", change)], COUNTS).text
    assert "thread 1 changes it, without a lock:\n      in spoil\n    advice" in text


def test_what_a_change_was_decided_by_is_said_in_words():
    text = Report([Finding(DISCIPLINE, "n", "p", "a", access(1, "act", 1))], COUNTS).text
    assert "thread 1 changes it, decided by an earlier look, without a lock:" in text


def test_a_clean_report_says_what_that_means():
    text = Report([], COUNTS).text
    assert "findings:          0" in text
    assert "No race was found in what was run." in text


def test_the_map_is_json():
    described = json.loads(json.dumps(Report([RACE, RULE], COUNTS).describe()))
    race, rule = described["findings"]
    assert [a["stack"][0]["line"] for a in race["accesses"]] == [1, 3]
    assert race["accesses"][1]["locks"] == ["a", "b"]
    assert len(rule["accesses"]) == 1
    assert described["overlaps"] == {"add and add": 3}
    assert described["recommendations"] == ["Tools.count: hold a lock", "os.chdir: do not"]


def test_what_was_not_run_is_named_with_advice():
    report = Report([], COUNTS)
    report.not_run = ["draw"]
    report.differences = ["add returned 1, at once also 2"]
    assert "Not run\n  draw\n" in report.text
    assert "@tool(examples=" in report.text
    assert "at once also 2" in report.text
    assert report.describe()["not_run"] == ["draw"]


def _fights(variable, first, second, *locks, evidence=DISCIPLINE):
    def at(thread, line, *held):
        return Access(thread, 1, "write", frozenset(held), ((__file__, line, f"f{line}"),), None)

    return Finding(
        evidence, variable, "both write", "hold a lock", at(1, first), at(2, second, *locks)
    )


def test_two_variables_that_the_same_functions_fight_over_are_one_finding():
    found = [_fights("Pair.first", 1, 2), _fights("Pair.second", 2, 1), _fights("Pair.third", 1, 2)]
    report = Report(found, COUNTS)
    (finding,) = report.findings
    assert finding.variable == "Pair.first"
    assert finding.together == ["Pair.second", "Pair.third"]
    assert "the same goes for Pair.second, Pair.third" in report.text
    assert report.describe()["findings"][0]["together"] == ["Pair.second", "Pair.third"]


def test_other_functions_other_locks_and_rules_are_faults_of_their_own():
    found = [
        _fights("Pair.first", 1, 2), _fights("Pair.second", 1, 3), _fights("Pair.third", 1, 2, "lock"),
        _fights("pandas", 1, 2, evidence=DOCUMENTED),
    ]  # fmt: skip
    assert len(Report(found, COUNTS).findings) == 4


def test_a_result_that_the_second_pair_of_places_explains_is_a_part_of_the_fault():
    wrong = Finding("wrong", "get", "returned 1 instead of 2", "lock", access(3, "return", 3))
    wrong.first.stack = ((__file__, 3, "f3"),)
    found = [_fights("Pair.first", 1, 2), _fights("Pair.first", 1, 3), wrong]
    (finding,) = Report(found, COUNTS).findings
    assert finding.seen == ["get returned 1 instead of 2"]

"""A server that looks for races while it serves."""

from __future__ import annotations

import json

import pytest

from bridge.errors import CallError

TOOLS = """
import threading

from bridge import ThreadSafeAdapter, tool


class Racy(ThreadSafeAdapter):
    def setup(self):
        self.n = 0
        self.gate = threading.Barrier(2)

    @tool
    def up(self):
        self.gate.wait(20)
        self.n += 1


class Clean(Racy):
    @tool
    def up(self):
        self.gate.wait(20)
        with self.acquire_lock():
            self.n += 1

    @tool
    def draw_together(self):
        self.gate.wait(20)
        return self.draw()

    @tool
    def draw(self):
        from matplotlib import pyplot

        return pyplot.title("a plot")
"""
#: In place of the real one, which takes seconds to import.
PYPLOT = "def title(text):\n    return text\n"


@pytest.fixture
def serve(start, tmp_path):
    app, library = tmp_path / "app", tmp_path / "library" / "matplotlib"
    for directory in (app, library):
        directory.mkdir(parents=True)
    (app / "raced_tools.py").write_text(TOOLS)
    (library / "__init__.py").write_text("")
    (library / "pyplot.py").write_text(PYPLOT)

    def serve(adapter, *arguments):
        return start(
            *("--app-dir", str(app), "--max-workers", "4", *arguments),
            adapter=f"raced_tools:{adapter}",
            env={"PYTHONPATH": str(library.parent)},
        )

    return serve


def call_twice_at_once(peer, name="up"):
    """Both calls have ended: their results, or errors."""
    outcomes = []
    for msgid in [peer.request(name, []) for _ in range(2)]:
        try:
            outcomes.append(peer.result(msgid))
        except CallError as error:
            outcomes.append(error)
    return outcomes


def logged(peer, words):
    logs = [params for method, params in peer.notifications if method == "$/log"]
    return [params for params in logs if words in str(params)]


def test_the_statistics_carry_the_report(serve):
    peer = serve("Racy", "--thread-safety-check")
    assert call_twice_at_once(peer) == [None, None]
    report = peer.call("$/stats")["thread_safety"]
    assert report["tools"]["up"] == {"calls": 2, "threads": 2, "most_at_once": 2}
    assert {finding["variable"] for finding in report["findings"]} == {"Racy.n"}
    (access, _) = report["findings"][0]["accesses"]
    assert access["stack"][0]["file"].endswith("raced_tools.py")


def test_without_the_check_there_is_no_report(serve):
    peer = serve("Racy")
    call_twice_at_once(peer)
    assert "thread_safety" not in peer.call("$/stats")


def test_a_clean_adapter_has_none(serve):
    peer = serve("Clean", "--thread-safety-check")
    call_twice_at_once(peer)
    assert peer.call("$/stats")["thread_safety"]["findings"] == []


def test_each_finding_is_logged_once(serve):
    peer = serve("Racy", "--thread-safety-check")
    for _ in range(4):
        call_twice_at_once(peer)
    findings = peer.call("$/stats")["thread_safety"]["findings"]
    assert len(logged(peer, "Racy.n")) == len(findings)


def test_strict_raises_in_the_call(serve):
    peer = serve("Racy", "--thread-safety-strict")
    outcomes = call_twice_at_once(peer)
    errors = [outcome for outcome in outcomes if outcome is not None]
    assert errors  # of one call, or of both, where each reads after the other has written
    assert all("Racy.n" in str(error) for error in errors)


def test_the_report_is_written_at_the_end(serve, tmp_path):
    file = tmp_path / "report.json"
    peer = serve("Racy", "--thread-safety-report", str(file))
    call_twice_at_once(peer)
    peer.close()
    assert peer.wait() == 0
    report = json.loads(file.read_text())
    assert {finding["variable"] for finding in report["findings"]} == {"Racy.n"}


def test_an_unsafe_library_that_a_call_imports_is_named(serve):
    peer = serve("Clean", "--thread-safety-check")
    assert peer.call("draw") == "a plot"
    found = {each["name"]: each for each in peer.call("$/stats")["thread_safety"]["libraries"]}
    library = found["matplotlib.pyplot"]
    assert library["level"] == "compatible"
    assert "Figure" in library["workaround"]
    assert library["sources"][0].startswith("https://")


def test_two_calls_that_use_what_is_one_for_the_process_are_a_finding(serve):
    peer = serve("Clean", "--thread-safety-check")
    call_twice_at_once(peer, "draw_together")
    report = peer.call("$/stats")["thread_safety"]
    assert {(f["grade"], f["variable"]) for f in report["findings"]} == {
        ("race", "matplotlib.pyplot")
    }

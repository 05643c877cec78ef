"""How a check makes its calls."""

from __future__ import annotations

import sys

import pytest

from bridge.errors import CallError
from bridge.thread_safety import check_adapter

ADAPTER = """
from bridge import ThreadSafeAdapter, tool


class Racy(ThreadSafeAdapter):
    def __init__(self):
        self.n = 0
        self.last = []

    @tool
    def up(self):
        self.n += 1

    @tool(serial=True)
    def put(self):
        self.last.append(0)
        return self.last
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "exercised_tools.py").write_text(ADAPTER)
    yield str(tmp_path)
    sys.modules.pop("exercised_tools", None)


def test_every_call_goes_the_way_of_a_served_one(directory, monkeypatch):
    def refuse(running, tool, args, kwargs, variables, peer, key):
        assert running.claim()
        peer.send_error(key, CallError("it never came to the tool"))
        return True

    monkeypatch.setattr("bridge.calls.call.execute", refuse)
    report = check_adapter("exercised_tools:Racy", directory)
    assert (report.findings, report.counts["tools"]) == ([], {})


def test_calls_of_a_serial_tool_are_made_on_different_threads(directory):
    report = check_adapter("exercised_tools:Racy", directory)
    # what one call returns is read while another, on another thread, appends to it
    assert {finding.variable for finding in report.findings} == {"Racy.n", "Racy.last"}
    assert report.counts["tools"]["put"]["threads"] > 1
    assert report.counts["tools"]["put"]["most_at_once"] == 1


def test_as_many_calls_are_made_as_asked_for(directory):
    report = check_adapter("exercised_tools:Racy", directory, threads=2, calls=24)
    assert sum(tool["calls"] for tool in report.counts["tools"].values()) == 24

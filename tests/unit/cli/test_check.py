"""``bridge check``, as a person and as a CI runs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bridge.errors import AdapterError
from bridge.thread_safety.exercise import check_adapter
from tests.waiting import WAIT_S

ADAPTER = '''
import threading
from typing import Optional

from bridge import Context, ThreadSafeAdapter, tool


class Racy(ThreadSafeAdapter):
    def __init__(self):
        self.n = 0

    @tool(examples=[[1], {"by": 2}])
    def up(self, by):
        self.n += by


class Clean(ThreadSafeAdapter):
    def __init__(self):
        self.n = 0

    @tool(examples=[[1], {"by": 2}])
    def up(self, by):
        with self.acquire_lock():
            self.n += by

    @tool
    def stream(self, ctx: Context):
        for i in range(3):
            ctx.progress(i)
            yield i

    @tool
    async def later(self):
        return 1

    @tool
    def greet(self, name: str, times: int, loud: bool = False, tags: "list[str] | None" = None):
        assert isinstance(name, str) and isinstance(times, int)
        return (name * times, loud, tags)

    @tool
    def average(self, values: list[float], weights: Optional[dict[str, float]], data: bytes | None):
        assert all(isinstance(value, float) for value in values)

    @tool
    def draw(self, shape):
        raise RuntimeError("nobody knows how to call it")

    @tool
    def paint(self, shape: "Shape"):
        raise RuntimeError("nobody knows how to call it")


class Fragile(ThreadSafeAdapter):
    """Its error is all that is to be seen: the state is where no check looks."""

    def setup(self):
        self.gate = threading.Barrier(2)
        self.alone = True

    @tool(examples=[[]])
    def meet(self):
        try:
            self.gate.wait(0.2)
        except threading.BrokenBarrierError:
            return "alone"
        raise LookupError("somebody else is here")


class Busy(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.gate = threading.Barrier(2)

    @tool(examples=[[]])
    def attempt(self):
        if not self.lock.acquire(blocking=False):
            self.gate.abort()
            return "busy"
        try:
            try:
                self.gate.wait(0.05)
            except threading.BrokenBarrierError:
                pass
            return "done"
        finally:
            self.lock.release()


class NoExamples(ThreadSafeAdapter):
    @tool
    def draw(self, shape):
        return shape


functions = {}
'''


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "checked_tools.py").write_text(ADAPTER)
    yield str(tmp_path)
    sys.modules.pop("checked_tools", None)


def check(adapter, directory, *arguments, module="checked_tools"):
    command = [sys.executable, "-m", "bridge", "check", f"{module}:{adapter}"]
    command += ["--app-dir", directory, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)


def test_a_race_is_reported_and_exits_with_1(directory):
    run = check("Racy", directory)
    assert (run.returncode, run.stderr) == (1, "")
    for words in ("Racy.n:", "self.n += by", "Recommendations", "up: "):
        assert words in run.stdout


def test_a_clean_adapter_exits_with_0(directory):
    run = check("Clean", directory)
    assert (run.returncode, run.stderr) == (0, "")
    assert "No race was found" in run.stdout


def test_the_report_as_json(directory):
    run = check("Racy", directory, "--json", "--threads", "2", "--calls", "8")
    report = json.loads(run.stdout)
    assert run.returncode == 1
    assert {finding["variable"] for finding in report["findings"]} == {"Racy.n"}
    assert report["tools"]["up"]["calls"] <= 8
    assert len(report["threads"]) >= 2


@pytest.mark.parametrize(
    ("adapter", "words"),
    [("NoExamples", "examples"), ("Missing", "Missing"), ("functions", "functions")],
)
def test_what_cannot_be_run_exits_with_2(directory, adapter, words):
    run = check(adapter, directory)
    assert (run.returncode, run.stdout) == (2, "")
    assert words in run.stderr


@pytest.mark.parametrize("arguments", [("--threads", "1"), ("--calls", "1")])
def test_too_few_for_a_race_is_a_usage_error(directory, arguments):
    assert check("Clean", directory, *arguments).returncode == 2


def test_arguments_are_made_from_annotations_and_others_named(directory):
    report = check_adapter("checked_tools:Clean", directory)
    assert report.findings == []
    assert report.not_run == ["draw", "paint"]
    assert {"greet", "average", "stream", "later", "up"} == set(report.counts["tools"])


def test_without_hypothesis_what_needs_arguments_is_not_run(directory, monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    report = check_adapter("checked_tools:Clean", directory)
    assert report.not_run == ["greet", "average", "draw", "paint"]


def test_made_arguments_are_the_same_each_time(directory):
    from bridge.loading import load
    from bridge.thread_safety.example_arguments import guess_arguments

    tools = load("checked_tools:Clean", directory).tools
    for name in ("greet", "average"):
        assert guess_arguments(tools[name]) == guess_arguments(tools[name]) != []
    assert guess_arguments(tools["draw"]) == []


def test_an_error_that_only_calls_at_once_have_is_a_finding(directory):
    report = check_adapter("checked_tools:Fragile", directory, calls=8)
    (finding,) = report.findings
    assert (finding.evidence, finding.variable) == ("observed", "meet")
    assert "LookupError: somebody else is here" in finding.text
    assert "checked_tools.py" in finding.text


def test_a_result_that_only_calls_at_once_have_is_named(directory):
    report = check_adapter("checked_tools:Busy", directory, calls=8)
    assert report.findings == []
    assert report.differences == ["attempt returned 'busy' instead of 'done'"]
    assert not report.failed


def test_an_adapter_that_is_not_there_is_an_error():
    with pytest.raises(AdapterError):
        check_adapter("nowhere_to_be_found:Tools")


MISFITS = """
from bridge import ThreadSafeAdapter, tool

class Half(ThreadSafeAdapter):
    @tool(examples=[[[1.0], [2.0]], [[1.0]], {"point": [1.0], "more": 2}])
    def one(self, points): pass

    @tool(examples=[[1, 2]])
    def other(self, n): pass

class None_(ThreadSafeAdapter):
    @tool(examples=[[1, 2]])
    def other(self, n): pass
"""


def test_examples_that_do_not_fit_are_named_and_a_tool_that_has_no_others_is_not_run(tmp_path):
    (tmp_path / "misfit_tools.py").write_text(MISFITS)
    report = check_adapter("misfit_tools:Half", str(tmp_path))
    assert set(report.counts["tools"]) == {"one"}
    assert report.not_run == ["other"]
    assert report.text.count("an example does not fit: ") == 3
    assert "other: takes 1 by position, got 2" in report.text
    run = check("None_", str(tmp_path), module="misfit_tools")
    assert (run.returncode, run.stdout) == (2, "")
    assert "an example does not fit: other: takes 1 by position, got 2" in run.stderr


OWN_POOL = """
from concurrent.futures import ThreadPoolExecutor
from bridge import ThreadSafeAdapter, tool

class OwnPool(ThreadSafeAdapter):
    def setup(self):
        self.pool = ThreadPoolExecutor(2)

    def outer(self):
        return self.pool.submit(int, "3").result()

    @tool
    def wait(self):
        return self.pool.submit(self.outer).result()
"""


def test_work_that_waits_for_its_own_executor_does_not_keep_the_process(tmp_path):
    """The threads of executors are joined before those that the end of the process waits for."""
    (tmp_path / "own_pool.py").write_text(OWN_POOL)
    run = check("OwnPool", str(tmp_path), "--limit", "1", module="own_pool")
    assert run.returncode == 1
    assert "Stopped\n" in run.stdout
    assert "in OwnPool.outer" in run.stdout

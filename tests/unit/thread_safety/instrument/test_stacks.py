"""Where findings say that the program was, and how it got there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from bridge.thread_safety.detector.findings import Access, Finding
from bridge.thread_safety.reports import Report

from ..race_program import Program, checked

ROOT = Path(__file__).parents[4]


def accesses(finding: Finding) -> list[Access]:
    return [access for access in (finding.first, finding.second) if access is not None]


def functions(program: Program) -> list[list[str]]:
    """Of the one finding: the functions on the two stacks, innermost first."""
    (finding,) = program.checker.findings
    return [[name for _, _, name in access.shown] for access in accesses(finding)]


def lines_of(path: Path, *texts: str) -> list[str]:
    """How a report names the lines of a file that begin with these texts."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    numbers = [next(n for n, line in enumerate(lines, 1) if line.startswith(t)) for t in texts]
    return [f"{path}:{number} in" for number in numbers]


def test_a_report_shows_the_way_from_the_tool_to_the_access_on_both_sides(tmp_path: Path) -> None:
    stock, shop = tmp_path / "stock.py", tmp_path / "shop.py"
    stock.write_text(
        textwrap.dedent("""\
        class Stock:
            def __init__(self):
                self.count = 0

        def take(stock, n):
            stock.count = stock.count - n
        """)
    )
    shop.write_text(
        textwrap.dedent("""\
        from bridge import ThreadSafeAdapter, thread_safe_method, tool
        from stock import Stock, take

        class Shop(ThreadSafeAdapter):
            def __init__(self):
                self.stock = Stock()

            @tool(examples=[[1]])
            @thread_safe_method
            def buy(self, n: int) -> None:
                self._order(n)

            def _order(self, n):
                take(self.stock, n)
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "check", "shop:Shop", "--app-dir", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    text = done.stdout.partition("Finding 1\n")[2]
    sides = text.partition("advice:")[0].split("    thread ")[1:]
    places = [
        *lines_of(stock, "stock.count = stock.count"),
        *lines_of(shop, "take(self.stock", "self._order"),
    ]
    for side in sides:
        shown = [line.strip() for line in side.splitlines() if ".py:" in line]
        assert [line.rpartition(" ")[0] for line in shown] == places
        assert "take(self.stock, n)" in side
    assert len(sides) == 2
    assert "Finding 2" not in text


def test_two_ways_to_the_same_place_are_one_finding_and_each_stack_is_its_own(
    tmp_path: Path,
) -> None:
    source = """\
        n = 0
        def up():
            global n
            n += 1
        def one():
            up()
        def other():
            one()
        """
    with checked(source, tmp_path) as program:
        program.call("one", "other", "one", "up")
        assert functions(program) == [["up", "one"], ["up", "one", "other"]]


def test_long_stacks_are_cut_and_say_so(tmp_path: Path) -> None:
    source = """\
        n = 0
        def dig(depth):
            global n
            if depth:
                dig(depth - 1)
            else:
                n += 1
        def eight():
            dig(6)
        def nine():
            dig(7)
        """
    with checked(source, tmp_path) as program:
        program.call("eight", "nine")
        (finding,) = program.checker.findings
        assert functions(program) == [["dig"] * 7 + ["eight"], ["dig"] * 8]
    report = Report([finding], {})
    first, second = report.text.split("    thread ")[1:]
    assert "further away" not in first
    assert "... called from further away" in second
    (described,) = report.describe()["findings"]
    assert [each["stack_has_more"] for each in described["accesses"]] == [False, True]
    assert [len(each["stack"]) for each in described["accesses"]] == [8, 8]


def test_libraries_are_shown_only_between_frames_of_the_program(tmp_path: Path) -> None:
    source = """\
        import re, threading
        n = 0
        def up(match=None):
            global n
            n += 1
            return ""
        def by_library():
            re.sub("x", up, "x")
        def on_a_thread():
            thread = threading.Thread(target=up)
            thread.start()
            thread.join()
        """
    with checked(source, tmp_path) as program:
        program.call("by_library", "on_a_thread")
        assert functions(program) == [["up", "sub", "by_library"], ["up"]]


def test_what_a_coroutine_awaits_and_a_generator_calls_is_on_the_stack(tmp_path: Path) -> None:
    source = """\
        n = 0
        def up():
            global n
            n += 1
        async def step():
            up()
        async def task():
            await step()
        def items():
            up()
            yield 1
        def stream():
            yield from items()
        def run_task():
            import asyncio
            asyncio.run(wrapped_task())
        def run_stream():
            list(wrapped_stream())
        """
    with checked(source, tmp_path) as program:
        module, wrap = program.module, program.checker.wrap
        module.wrapped_task = wrap(module.task, "task")
        module.wrapped_stream = wrap(module.stream, "stream")
        program.call("run_task", "run_stream")
        assert functions(program) == [["up", "step", "task"], ["up", "items", "stream"]]


def test_a_result_that_is_read_later_is_shown_at_the_tool_that_returned_it(tmp_path: Path) -> None:
    source = """\
        import functools, threading
        rows, lock = [], threading.Lock()
        def decorated(function):
            @functools.wraps(function)
            def wrapper():
                return function()
            return wrapper
        @decorated
        @decorated
        def all_rows():
            with lock:
                return rows
        def add():
            with lock:
                rows.append(1)
        """
    with checked(source, tmp_path) as program:
        program.call("add", "all_rows")
        (finding,) = program.checker.findings
    assert [access.stack[0][1:] for access in accesses(finding)] == [(15, "add"), (10, "all_rows")]


def test_the_frames_of_an_error_are_those_of_the_program(tmp_path: Path) -> None:
    source = """\
        errors = []
        def fail():
            {}["missing"]
        def work():
            try:
                call()
            except KeyError as error:
                errors.append(error)
        def call():
            fail()
        """
    with checked(source, tmp_path) as program:
        module = program.module
        module.call = program.checker.wrap(module.call, "call")
        program.call("work")
        (error,) = module.errors
        stack = program.checker.stack_of(error)
    assert [frame[1:] for frame in stack] == [(3, "fail"), (10, "call")]


def test_code_that_is_gone_is_not_taken_for_what_came_after_it(tmp_path: Path) -> None:
    # far more callers than are remembered; most have the address of an earlier one
    source = """\
        n = 0
        def up():
            global n
            n += 1
        def many():
            for i in range(2500):
                exec(f"def caller_{i}(): up()\\ncaller_{i}()\\ndel caller_{i}", {"up": up})
        """
    with checked(source, tmp_path) as program:
        program.call("many", "up")
        assert functions(program) == [["up", "caller_2499", "<module>", "many"], ["up"]]


def test_each_use_of_a_library_is_shown_at_its_own_line(tmp_path: Path) -> None:
    source = """\
        import sqlite3
        base = sqlite3.connect(":memory:", check_same_thread=False)
        def first():
            base.execute("select 1")
            base.execute("select 2")
        def second():
            base.execute("select 3")
        """
    with checked(source, tmp_path) as program:
        program.call("first", "second")
        (finding,) = program.checker.findings
        program.module.base.close()
    shown = [[frame[1:] for frame in access.stack] for access in accesses(finding)]
    # of the first thread, the latest
    assert shown == [[(5, "first")], [(7, "second")]]

"""The checker as programs use it."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
import threading
import warnings

import pytest

from bridge import Adapter, ThreadSafeAdapter, thread_safe_method
from bridge.thread_safety.checker import (
    ThreadSafetyChecker,
    ThreadSafetyError,
    ThreadSafetyWarning,
    log,
    require_thread_safe_adapter,
    warn,
)

from .race_program import checked, one_after_another

SOURCE = "n = 0\ndef up():\n    global n\n    n += 1\n"


class Plain:
    """Loaded before any checker is there."""

    def __init__(self):
        self.n = 0

    def up(self):
        self.n += 1

    @thread_safe_method
    def tracked_up(self):
        self.n += 1


class Lazy:
    """As frameworks have them: whatever is asked of it is asked of something that is not there."""

    def __getattribute__(self, name):
        raise RuntimeError("there is no request")


LAZY = Lazy()


def test_a_race_is_warned_of_once(tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with checked(SOURCE, tmp_path, note=warn) as program:
            program.call("up", "up", "up", "up")
    assert [w.category for w in caught] == [ThreadSafetyWarning]
    assert "n: one thread" in str(caught[0].message)


def test_a_race_is_logged_for_a_server(tmp_path, caplog):
    with checked(SOURCE, tmp_path, note=log) as program:
        program.call("up", "up", "up")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("bridge.thread_safety", "WARNING")


def test_strict_raises_in_the_call_that_completes_the_race(tmp_path):
    with checked(SOURCE, tmp_path, strict=True) as program:
        program.call("up")
        with pytest.raises(ThreadSafetyError, match="hold one lock"):
            program.call("up")
        program.call("up")  # each finding is told once


def test_not_enabled_it_does_nothing(tmp_path):
    lock = threading.Lock
    with checked(SOURCE, tmp_path, enabled=False) as program:
        assert threading.Lock is lock
        assert program.checker.watch(program) is program
        assert program.checker.check_thread_safe(program.call) == program.call
        assert not any(name.startswith("__bridge") for name in vars(program.module))
        program.call("up", "up")
        assert program.module.n == 2
    assert program.found == []
    assert program.checker.report().findings == []


def test_what_was_loaded_before_is_rewritten_and_put_back():
    code = Plain.up.__code__
    with ThreadSafetyChecker(note=lambda finding: None) as checker:
        plain = checker.watch(Plain())
        assert Plain.up.__code__ is not code
        one_after_another(plain.up, plain.up)
    assert Plain.up.__code__ is code
    assert [finding.variable for finding in checker.findings] == ["Plain.n"]
    plain.up()
    assert plain.n == 3


def test_decorated_functions_are_rewritten_too(monkeypatch):
    # a free-threaded Python hides them from the garbage collector once a thread was started
    monkeypatch.setattr("gc.get_objects", lambda: [LAZY])
    function = Plain.tracked_up.__wrapped__
    code = function.__code__
    with ThreadSafetyChecker(note=lambda finding: None) as checker:
        checker.watch(Plain())
        assert function.__code__ is not code
    assert function.__code__ is code


def test_the_recursion_limit_and_the_importing_are_put_back():
    limit, path, real = sys.getrecursionlimit(), list(sys.meta_path), sys.getrecursionlimit
    with ThreadSafetyChecker():
        assert real() > limit
        assert sys.getrecursionlimit() == limit  # for the program it is what it was
        sys.setrecursionlimit(limit + 10)
        assert sys.getrecursionlimit() == limit + 10
        assert sys.meta_path != path
    assert (sys.getrecursionlimit(), sys.meta_path) == (limit + 10, path)
    assert sys.getrecursionlimit is real
    sys.setrecursionlimit(limit)


def test_an_error_in_the_block_puts_everything_back_too():
    lock = threading.Lock
    with pytest.raises(KeyError), ThreadSafetyChecker():
        raise KeyError
    assert threading.Lock is lock


def test_two_checkers_after_each_other_do_not_know_of_each_other(tmp_path):
    for _ in range(2):
        with checked(SOURCE, tmp_path) as program:
            program.call("up", "up")
        assert program.found == ["n"]


def test_check_thread_safe_makes_every_call_one_of_its_own(tmp_path):
    source = "d = {}\ndef put():\n    d[len(d)] = 1\ndef count():\n    return len(d)\n"
    with checked(source, tmp_path) as program:
        count = program.checker.check_thread_safe(program.module.count)
        put = program.checker.check_thread_safe(program.module.put)
        assert put.__name__ == "put"
        one_after_another(count, put)
        report = program.checker.get_report()
    assert {name: tool["calls"] for name, tool in report["tools"].items()} == {"put": 1, "count": 1}


def test_the_report_is_there_at_any_time(tmp_path, capsys):
    with checked(SOURCE, tmp_path) as program:
        assert program.checker.get_report()["findings"] == []
        program.call("up", "up")
        (finding,) = json.loads(json.dumps(program.checker.get_report()))["findings"]
        program.checker.print_thread_safety_report()
    assert finding["variable"].endswith(".n")
    assert "Finding 1" in capsys.readouterr().out


def test_streams_and_tasks_are_calls_from_end_to_end(tmp_path):
    source = """
        n = 0
        async def task():
            global n
            before = n
            await go()
            n = before + 1
        async def go():
            import asyncio
            await asyncio.sleep(0)
        def stream(k):
            for i in range(k):
                yield i
    """
    with checked(source, tmp_path) as program:
        checker, module = program.checker, program.module
        task, stream = checker.wrap(module.task, "task"), checker.wrap(module.stream, "stream")

        async def both():
            await asyncio.gather(task(), task())

        assert list(stream(3)) == [0, 1, 2]
        asyncio.run(both())
        assert checker.get_report()["tools"]["stream"]["calls"] >= 1
    (finding,) = checker.findings
    assert (finding.evidence, program.found) == ("observed", ["n"])


def test_a_serial_tool_does_not_race_with_itself(tmp_path):
    with checked(SOURCE, tmp_path) as program:
        up = program.checker.wrap(program.module.up, "up", serial=True)
        one_after_another(up, up)
        assert program.found == []


def test_require_thread_safe_adapter():
    class Safe(ThreadSafeAdapter):
        pass

    @require_thread_safe_adapter
    def serve(adapter, port):
        return adapter, port

    safe = Safe()
    assert serve(safe, 5) == (safe, 5)
    with pytest.raises(TypeError, match="Adapter does not declare itself thread-safe"):
        serve(Adapter(), 5)


def test_without_a_check_nothing_of_it_is_loaded():
    program = (
        "import sys, bridge, bridge.process.server, bridge.adapters.showcase\n"
        "print([name for name in sys.modules if name.startswith('bridge.thread_safety')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_modules_below_the_directory_belong_to_the_program(tmp_path, monkeypatch):
    package = tmp_path / "checked_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "state.py").write_text("from .other import up\nn = 0\n")
    (package / "other.py").write_text("n = 0\ndef up():\n    global n\n    n += 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    with ThreadSafetyChecker(directory=str(tmp_path), note=lambda finding: None) as checker:
        state = importlib.import_module("checked_package.state")
        one_after_another(*[checker.wrap(state.up, "up")] * 2)
    for name in [name for name in sys.modules if name.startswith("checked_package")]:
        del sys.modules[name]
    assert {finding.variable for finding in checker.findings} == {"checked_package.other.n"}


def test_a_fault_of_the_checker_is_told_as_such_and_the_program_goes_on(
    tmp_path, caplog, monkeypatch
):
    with checked(SOURCE, tmp_path) as program:
        monkeypatch.setattr(
            "bridge.thread_safety.detector.detector.Detector.access", lambda *_: 1 / 0
        )
        program.call("up", "up", "up")
        assert program.module.n == 3
        report = program.checker.report()
    (fault,) = report.faults
    assert "ZeroDivisionError" in fault
    assert "Faults of the check itself" in report.text
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_keys_that_cannot_be_hashed_are_the_programs_own_fault(tmp_path):
    source = """
        class Key:
            def __hash__(self):
                raise ValueError("no")
        d, key = {}, Key()
        def get():
            try:
                return d[key]
            except ValueError:
                return "refused"
    """
    with checked(source, tmp_path) as program:
        assert program.call("get") == ["refused"]
        assert program.checker.report().faults == []

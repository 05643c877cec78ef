"""Calls and their outcomes: a result, or an error that tells what was wrong and where."""

import functools
import gc
import sys
import threading
import weakref

import pytest

from bridge import CallError, Cancelled, InvalidParams, PoolFull, ToolFailed, ToolNotFound, tool
from tests.tool_bench import Bench, Unencodable
from tests.waiting import passed


@tool
def add(a, b=1):
    return a + b


@tool
def give(value):
    return value


@tool
def count(to):
    yield from range(to)


def failing(error):
    """A bench whose tool ``fail`` raises this, and the error that its caller gets."""

    @tool
    def fail():
        raise error

    bench = Bench(fail)
    return bench.error(bench.start("fail"))


def test_arguments_by_position_and_by_name_give_a_result():
    bench = Bench(add)
    assert bench.result(bench.start("add", 1, 2)) == 3
    assert bench.result(bench.request("add", {"a": 5}, None, None)) == 6


@pytest.mark.parametrize("value", [None, False, "", [], b"x", {"k": [1]}])
def test_every_value_is_a_result(value):
    bench = Bench(give)
    key = bench.start("give", value)
    assert bench.result(key) == value
    assert bench.peer.events == [("result", key, value)]


def test_a_tool_that_does_not_exist_is_answered_with_those_that_do():
    bench = Bench(give, add)
    error = bench.error(bench.start("ad", 1))
    assert type(error) is ToolNotFound
    assert error.message == "there is no tool 'ad'; there are add, give"
    assert error.started is False


def test_among_many_tools_the_first_are_named_and_the_others_not_looked_at():
    class Tools(dict):
        looked_at = 0

        def __iter__(self):
            for name in super().__iter__():
                self.looked_at += 1
                yield name

    made = []
    for number in range(999, 0, -1):

        def function():
            pass

        function.__name__ = f"tool_{number}"
        made.append(tool(function))
    bench = Bench(*made)
    bench.dispatcher.tools = Tools(bench.dispatcher.tools)
    message = bench.error(bench.start("nowhere")).message
    assert message.endswith("there are tool_1, tool_10, tool_100, tool_101, tool_102, tool_103, "
        "tool_104, tool_105, tool_106, tool_107, tool_108, tool_109, tool_11, tool_110, tool_111, "
        "tool_112, tool_113, tool_114, tool_115, tool_116, …")  # fmt: skip
    assert bench.dispatcher.tools.looked_at == 20


def test_names_of_python_objects_are_no_tools():
    bench = Bench(add)
    for name in ("__class__", "add.__call__", "", "bench_tools", "print"):
        assert bench.error(bench.start(name)).code == "not_found"


def test_wrong_arguments_are_refused_before_the_tool_starts():
    bench = Bench(add)
    error = bench.error(bench.start("add"))
    assert type(error) is InvalidParams
    assert "missing argument 'a'" in error.message
    assert error.started is False


def test_a_generator_without_the_option_stream_is_refused():
    bench = Bench(count)
    error = bench.error(bench.start("count", 3))
    assert error.code == "invalid_argument"
    assert "count streams" in error.message
    assert error.started is False


def test_an_exception_is_answered_with_its_type_and_the_tools_frames_only():
    error = failing(ValueError("as expected"))
    assert type(error) is ToolFailed
    assert (error.code, error.message, error.type) == ("internal", "as expected", "builtins.ValueError")  # fmt: skip
    assert error.started is True
    assert error.traceback[0] == "Traceback (most recent call last):"
    assert error.traceback[-1] == "ValueError: as expected"
    frames = [line for line in error.traceback if line.startswith("  File ")]
    assert len(frames) == 1
    assert __file__ in frames[0]
    assert frames[0].endswith("in fail")


def test_an_exception_without_text_has_its_class_as_message():
    class Quiet(Exception):
        pass

    error = failing(Quiet())
    assert error.message == Quiet.__qualname__
    assert error.type == f"{__name__}.{Quiet.__qualname__}"


def test_an_exception_that_cannot_tell_its_text_is_answered_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    assert failing(Mute()).type.endswith("Mute")


def test_chained_exceptions_and_notes_are_in_the_traceback():
    @tool
    def chain():
        try:
            raise KeyError("first")
        except KeyError as error:
            second = ValueError("second")
            second.add_note("a note")
            raise second from error

    bench = Bench(chain)
    text = "\n".join(bench.error(bench.start("chain")).traceback)
    assert text.index("KeyError: 'first'") < text.index("direct cause") < text.index("ValueError: second")  # fmt: skip
    assert text.endswith("a note")


def test_a_long_traceback_keeps_its_innermost_lines():
    @tool
    def deep(n):
        """Two functions take turns, because repeated lines are folded."""
        return deeper(n) if n else 1 / 0

    def deeper(n):
        return deep(n - 1)

    bench = Bench(deep)
    error = bench.error(bench.start("deep", 100))
    assert len(error.traceback) == 100
    assert error.traceback[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("x")])  # fmt: skip
def test_exceptions_that_end_programs_end_the_call_only(error):
    @tool
    def fail():
        raise error

    bench = Bench(fail, add, max_workers=1)
    answer = bench.error(bench.start("fail"))
    assert (answer.code, answer.type) == ("internal", f"builtins.{type(error).__name__}")
    assert bench.result(bench.start("add", 1)) == 2


def test_a_tool_that_leaves_the_program_does_not():
    @tool
    def leave():
        sys.exit("good bye")

    bench = Bench(leave)
    error = bench.error(bench.start("leave"))
    assert (error.type, error.message) == ("builtins.SystemExit", "good bye")


def test_a_recursion_without_end_is_an_error_like_others():
    @tool
    def endless(n):
        return endless(n + 1)

    bench = Bench(endless)
    assert bench.error(bench.start("endless", 0)).type == "builtins.RecursionError"


def test_a_tool_may_choose_code_and_details():
    error = failing(CallError("not yours", code="permission_denied", details={"who": "you"}))
    assert (error.code, error.message, error.details) == ("permission_denied", "not yours", {"who": "you"})  # fmt: skip
    assert error.started is True
    assert failing(Cancelled("by myself")).code == "cancelled"
    assert failing(CallError("no", started=False)).started is False


def test_a_result_that_cannot_be_encoded_is_an_error_and_the_only_answer():
    bench = Bench(give, max_workers=1)
    key = bench.start("give", Unencodable())
    error = bench.error(key)
    assert (error.code, error.type) == ("internal", "bridge.errors.EncodeError")
    assert error.message == "give: a value of type Unencodable cannot be sent"
    assert error.started is True
    bench.settle()
    assert len(bench.peer.answers(key)) == 1


def test_a_full_pool_is_answered_at_once_and_nothing_is_done():
    started, leave, ran = threading.Event(), threading.Event(), []

    @tool
    def block():
        started.set()
        passed(leave)

    @tool
    def note(n):
        ran.append(n)

    bench = Bench(block, note, max_workers=1, max_queue=1)
    blocking = bench.start("block")
    passed(started)
    queued, refused = bench.start("note", 1), bench.start("note", 2)
    error = bench.error(refused)
    assert type(error) is PoolFull
    assert error.started is False
    leave.set()
    bench.result(blocking)
    bench.result(queued)
    assert ran == [1]
    bench.settle()
    assert len(bench.peer.answers(refused)) == 1


def test_serial_calls_of_a_tool_do_not_overlap_and_leave_workers_to_others():
    started, leave, order = threading.Event(), threading.Event(), []

    @tool(serial=True)
    def alone(n):
        order.append(f"{n} begins")
        started.set()
        passed(leave)
        order.append(f"{n} ends")

    bench = Bench(alone, add, max_workers=2)
    first, second = bench.start("alone", 1), bench.start("alone", 2)
    passed(started)
    assert bench.result(bench.start("add", 1)) == 2
    assert order == ["1 begins"]
    leave.set()
    bench.result(first)
    bench.result(second)
    assert order == ["1 begins", "1 ends", "2 begins", "2 ends"]


def test_calls_beyond_the_limit_of_their_tool_leave_workers_to_others():
    meeting, leave = threading.Barrier(3), threading.Event()

    @tool(max_concurrency=2)
    def batch():
        meeting.wait(20)
        passed(leave)

    bench = Bench(batch, add, max_workers=3)
    keys = [bench.start("batch") for _ in range(4)]
    meeting.wait(20)  # two run
    assert bench.result(bench.start("add", 1)) == 2  # and of three workers one is free
    assert bench.dispatcher.health()["queued"] == 2
    leave.set()
    meeting.wait(20)
    assert [bench.result(key) for key in keys] == [None] * 4


def test_a_serial_call_that_is_cancelled_while_it_waits_lets_the_next_one_go():
    started, leave, order = threading.Event(), threading.Event(), []

    @tool(serial=True)
    def alone(n):
        order.append(n)
        started.set()
        passed(leave)

    bench = Bench(alone)
    keys = [bench.start("alone", n) for n in range(3)]
    passed(started)
    assert bench.dispatcher.cancel(keys[1])
    leave.set()
    bench.result(keys[2])
    assert order == [0, 2]


@pytest.mark.parametrize("ends_well", [True, False])
def test_what_a_call_holds_is_released_when_it_was_answered(ends_well):
    """Promptly, not when the collector comes by: arguments may be large."""

    class Large:
        pass

    @tool
    def use(value):
        if not ends_well:
            raise ValueError("as expected")

    bench = Bench(use)
    gc.disable()
    try:
        value = Large()
        released = weakref.ref(value)
        key = bench.start("use", value)
        del value
        bench.peer.answer(key)
        bench.settle()
        bench.start("use", None)
        bench.settle()
        assert released() is None
    finally:
        gc.enable()


def test_a_partial_is_a_tool_like_others():
    bench = Bench(tool(name="add_to_five")(functools.partial(lambda a, b: a + b, 5)))
    assert bench.result(bench.start("add_to_five", 2)) == 7

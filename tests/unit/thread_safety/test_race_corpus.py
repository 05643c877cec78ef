"""The corpus of races: every pair has the same form and runs, and the check tells them apart."""

import ast
import asyncio
import calendar
import contextlib
import functools
import gc
import importlib.util
import itertools
import logging
import re
import sys
import threading
import warnings
from pathlib import Path

import pytest

from bridge import ThreadSafeAdapter
from bridge.adapter import bind_tools

from ...waiting import WAIT_S, in_thread, join

RACES = Path(__file__).parents[2] / "races"
THREADS = 4
open_door = contextlib.nullcontext()
pairs = pytest.mark.parametrize("topic", sorted(path.stem for path in RACES.glob("*.py")))
both = pytest.mark.parametrize("kind", ["Broken", "Mended"])


@functools.cache
def load(topic):
    """The module of a pair, not listed in ``sys.modules``: the check shall import its own."""
    path = RACES / f"{topic}.py"
    if needed := re.search(r'^REQUIRES = "(\w+)"', path.read_text(), re.MULTILINE):
        pytest.importorskip(needed[1])
    spec = importlib.util.spec_from_file_location(topic, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def running(topic, kind):
    """The tools of a fresh adapter, set up and in the end closed."""
    adapter = getattr(load(topic), kind)()
    adapter.setup()
    try:
        yield list(bind_tools(adapter).values())
    finally:
        adapter.close()


def calls(tools, rounds):
    """Every example of every tool, the tools in turn."""
    by_tool = [[(tool, example) for example in tool.examples] for tool in tools]
    in_turn = [pair for row in itertools.zip_longest(*by_tool) for pair in row if pair]
    return in_turn * rounds


def call(tool, example, run=asyncio.run):
    """Call a tool, to the end of its stream; ``run`` runs a coroutine."""
    args, kwargs = tool.bind(example)
    result = tool.function(*args, **kwargs)
    if tool.is_async:
        return run(result)
    return list(result) if tool.streaming else result


@contextlib.contextmanager
def event_loop():
    """A function that runs coroutines of any thread on the one loop of another."""
    loop = asyncio.new_event_loop()
    thread = in_thread(loop.run_forever)
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(WAIT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        join(thread)
        loop.close()


def errors_of_calls_at_once(tools):
    """Call every tool from all threads. Returns the exceptions."""
    errors = []
    start = threading.Barrier(THREADS, timeout=WAIT_S)
    turns = {tool.name: threading.Lock() if tool.serial else open_door for tool in tools}

    def work(run):
        start.wait()
        for tool, example in calls(tools, rounds=6):
            try:
                with turns[tool.name]:
                    call(tool, example, run)
            except Exception as error:
                errors.append(error)

    with event_loop() as run:
        join(*(in_thread(work, run) for _ in range(THREADS)))
    return errors


@pytest.fixture(autouse=True)
def process_state():
    """What broken adapters spoil for the whole process is put right after each test."""
    interval, limit, path = sys.getswitchinterval(), sys.getrecursionlimit(), list(sys.path)
    sys.setswitchinterval(1e-5)
    with (
        contextlib.chdir("."),
        contextlib.redirect_stdout(sys.stdout),
        warnings.catch_warnings(),
    ):
        yield
    sys.setswitchinterval(interval)
    sys.setrecursionlimit(limit)
    sys.path[:] = path
    gc.enable()
    logging.getLogger("jobs").setLevel(logging.NOTSET)
    vars(calendar).pop("api_key", None)


def one_line(text):
    return " ".join(text.split())


@pairs
def test_a_pair_says_what_is_wrong_and_how_it_was_mended(topic):
    pair = load(topic)
    assert topic not in sys.stdlib_module_names
    assert pair.__doc__
    assert vars(pair.Mended)["__doc__"]
    assert vars(pair.Broken)["__doc__"] is None, "the module's docstring speaks for it"
    assert pair.EXPECTED.lower() not in topic, "every finding names the file"
    assert getattr(pair, "GRADE", "documented") in ("documented", "order", "leak", "wrong")
    assert getattr(pair, "SOURCE", "https://").startswith("https://")


@pairs
def test_a_pair_has_the_same_tools_with_examples(topic):
    pair = load(topic)
    tools = {}
    for kind in (pair.Broken, pair.Mended):
        assert issubclass(kind, ThreadSafeAdapter)
        tools[kind] = bind_tools(kind())
        assert all(tool.examples for tool in tools[kind].values())
    broken, mended = tools.values()
    assert 1 <= len(broken) <= 3
    assert {name: (tool.signature, tool.examples) for name, tool in broken.items()} == {
        name: (tool.signature, tool.examples) for name, tool in mended.items()
    }


@both
@pairs
def test_the_calls_succeed_one_after_the_other(topic, kind):
    with running(topic, kind) as tools:
        together = calls(tools, rounds=3)
        for tool, example in together:
            call(tool, example)
    for name in {tool.name for tool, _ in together}:
        with running(topic, kind) as tools:
            for tool, example in calls([tool for tool in tools if tool.name == name], rounds=3):
                call(tool, example)


@both
@pairs
def test_the_calls_end_when_they_are_made_at_once(topic, kind):
    if kind == "Broken" and hasattr(load(topic), "DEADLOCKS"):
        pytest.skip("they do not, now and then")
    with running(topic, kind) as tools:
        errors = errors_of_calls_at_once(tools)
    assert kind == "Broken" or not errors


def test_the_table_has_a_row_for_every_pair():
    rows = [line for line in (RACES / "README.md").read_text().splitlines() if line[:3] == "| ["]
    expected = []
    for path in sorted(RACES.glob("*.py")):
        pair = ast.parse(path.read_text())
        mended = next(node for node in pair.body if getattr(node, "name", "") == "Mended")
        texts = one_line(ast.get_docstring(pair)), one_line(ast.get_docstring(mended))
        expected.append(f"| [{path.stem}]({path.name}) | {' | '.join(texts)} |")
    assert rows == expected


def findings_of_check(topic, kind):
    check = pytest.importorskip("bridge.thread_safety.exercise")
    sys.modules.pop(topic, None)  # locks of the module were made for an earlier check
    report = check.check_adapter(f"{topic}:{kind}", app_dir=str(RACES), threads=THREADS, calls=50)
    return report.findings


@pairs
def test_the_check_finds_what_is_broken(topic):
    pair = load(topic)
    findings = findings_of_check(topic, "Broken")
    texts = [finding.text for finding in findings]
    found = [finding for finding in findings if pair.EXPECTED in finding.text]
    assert found, texts
    if hasattr(pair, "GRADE"):
        assert pair.GRADE in {finding.evidence for finding in found}, texts


@pairs
def test_the_check_is_silent_on_what_was_mended(topic):
    load(topic)  # skips what needs a missing package
    assert [finding.text for finding in findings_of_check(topic, "Mended")] == []

"""Every block of ``docs/thread-safety.md``, run as a reader would run it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import Adapter, Context
from bridge.adapter import bind_tools
from bridge.testing import PortPeer
from tests.elixir_client import give_compiled
from tests.waiting import PROGRAM_S, WAIT_S, in_thread, join

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "thread-safety.md").read_text()
#: The files of the guide, by the name in their first line.
FILES = {
    re.match(r"# (\S+\.py)\n", block)[1]: block
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
}
ELIXIR = re.findall(r"^```elixir\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
CLIENT = f'{{:beam_bridge, path: "{ROOT / "elixir_fixture"}"}}'
SETTINGS = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
PROGRAM = "python -m bridge"
COMMANDS = re.findall(r"^    (\S.*)$", re.sub(r"^```.*?^```", "", GUIDE, flags=re.S | re.M), re.M)
TESTS = [name for name in FILES if name.startswith("test_")]
ADAPTERS = [name for name in FILES if name.startswith("python/")]
#: Broken on purpose, or never answering: not called without care.
CALLABLE = [name for name in ADAPTERS if name not in ("python/broken.py", "python/stuck.py")]


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A directory with all files of the guide."""
    (tmp_path / "python").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(directory: Path, *command: str, env: dict[str, str] | None = None) -> Any:
    """Run a program where the bridge is found as if it were installed."""
    path = os.pathsep.join([str(ROOT), str(directory / "python")])
    return subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
    )


def adapter(name: str) -> type[Adapter]:
    """The adapter class of a file of the guide."""
    found: dict[str, Any] = {"__name__": name}
    exec(compile(FILES[name], name, "exec"), found)
    (kind,) = (
        value
        for value in found.values()
        if isinstance(value, type) and issubclass(value, Adapter) and value.__module__ == name
    )
    return kind


def together(*functions: Callable[[], Any]) -> list[Any]:
    """Call functions on a thread each, all at once; returns their results."""
    barrier = threading.Barrier(len(functions), timeout=WAIT_S)
    results: list[Any] = [None] * len(functions)

    def work(number: int, function: Callable[[], Any]) -> None:
        barrier.wait()
        results[number] = function()

    join(*(in_thread(work, number, function) for number, function in enumerate(functions)))
    return results


# -- the guide itself -----------------------------------------------------------------------


def test_every_block_is_known_to_these_tests():
    assert GUIDE.count("```") == 2 * (len(FILES) + len(ELIXIR) + len(SETTINGS))
    assert set(FILES) == {*ADAPTERS, *TESTS, "measure.py"}
    known = tuple(f"{PROGRAM} {name}" for name in ("call", "check", "tools", "doctor"))
    others = [command for command in COMMANDS if not command.startswith(known)]
    assert others == ["PYTHONPATH=python pytest", "python measure.py 15"]


def test_a_project_silences_as_a_comment_does(reader):
    (settings,) = SETTINGS
    text = FILES["python/latest.py"]
    (reader / "python" / "latest.py").write_text(re.sub(r"  # bridge: .*", "", text))
    check = (sys.executable, "-m", "bridge", "check", "latest:Latest", "--app-dir", "python")
    assert run(reader, *check).returncode == 1
    (reader / "pyproject.toml").write_text(settings)
    assert run(reader, *check).returncode == 0


def test_its_links_lead_somewhere():
    headings = re.findall(r"^## (.*)$", GUIDE, re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings]
    assert re.findall(r"\]\(#(.*?)\)", GUIDE) == anchors
    assert "docs/thread-safety.md" in (ROOT / "README.md").read_text()


def test_its_code_is_formatted(reader):
    pytest.importorskip("ruff")
    for rule in (["check"], ["format", "--check"]):
        config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
        done = run(reader, sys.executable, "-m", "ruff", *rule, *config, ".")
        assert done.returncode == 0, done.stdout + done.stderr


# -- Python ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLABLE)
def test_every_example_of_every_tool_can_be_called(reader, name):
    kind = adapter(name)
    workers = "8" if kind.__thread_safe__ else "1"
    target = f"{Path(name).stem}:{kind.__name__}"
    options = ["--adapter", target, "--app-dir", str(reader / "python"), "--max-workers", workers]
    with PortPeer(*options) as peer:
        for tool in bind_tools(kind()).values():
            for example in tool.examples or [[]]:
                if tool.streaming:
                    list(peer.stream(tool.name, example))
                else:
                    peer.call(tool.name, example)


@pytest.mark.parametrize("name", TESTS)
def test_a_test_program_passes(reader, name):
    if "thread_safety" in FILES[name]:
        pytest.importorskip("bridge.thread_safety.exercise")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = run(reader, *command, name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_measuring_program_measures(reader):
    # once, and with less to do
    work = FILES["python/work.py"].replace("200_000", "200").replace("= 20)", "= 1)")
    (reader / "python" / "work.py").write_text(work)
    done = run(reader, sys.executable, "measure.py", "1")
    lines = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert lines == ["wait", "arrays", "arrays_in_lock", "loop"], done.stderr


def test_the_patterns_do_what_they_are_there_for():
    patterns = adapter("python/patterns.py")()
    patterns.setup()
    texts = [f"<p>{number} <b>{number * 'x'}</b></p>" for number in range(8)]
    assert together(*(lambda t=t: patterns.strip_tags(t) for t in texts)) == [
        f"{number} {number * 'x'}" for number in range(8)
    ]
    together(*[lambda: [patterns.count("the cat and the dog") for _ in range(50)]] * 8)
    assert patterns.most_common(1) == [("the", 800)]
    assert patterns.keywords("the cat and a dog") == ["cat", "dog"]


def test_render_numbers_the_guests():
    class Call:
        interruption = None

    tickets = adapter("python/tickets.py")()
    tickets.setup()
    assert [tickets.buy("stalls", seat, name) for seat, name in ((1, "bob"), (2, "ann"))] == [
        True,
        True,
    ]
    assert tickets.render("Guests", Context(Call())) == "Guests\n1. ann\n2. bob"


class Meet:
    """A stand-in for slow work: two threads are at it at the same time, or never meet."""

    def __init__(self, patience_s: float) -> None:
        self.barrier = threading.Barrier(2, timeout=patience_s)
        self.calls = 0

    def weigh(self, n: int) -> int:
        self.calls += 1
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError:
            pass
        return n * 10


def test_the_broken_tools_are_broken_as_the_guide_says():
    broken = adapter("python/broken.py")()
    broken.weigh = Meet(WAIT_S).weigh
    together(lambda: broken.add(1), lambda: broken.add(1))
    assert broken.total == 10, "one of two updates is lost"

    meet = Meet(WAIT_S)
    broken.weigh = meet.weigh
    together(lambda: broken.weight(5), lambda: broken.weight(5))
    assert meet.calls == 2, "both made the value"

    assert type(broken)().seen is broken.seen


def test_the_mended_tools_are_right():
    mended = adapter("python/mended.py")()
    mended.weigh = Meet(WAIT_S).weigh
    together(lambda: mended.add(1), lambda: mended.add(1))
    assert mended.total == 20

    meet = Meet(0.05)  # the second waits for the lock, so the first meets nobody
    mended.weigh = meet.weigh
    assert together(lambda: mended.weight(5), lambda: mended.weight(5)) == [50, 50]
    assert meet.calls == 1

    together(*[lambda: [mended.count("ann") for _ in range(100)] and mended.longest()] * 8)
    assert (mended.counts, len(mended.seen), mended.longest()) == ({"ann": 800}, 800, 3)


# -- commands -------------------------------------------------------------------------------


def command(line: str) -> tuple[list[str], int]:
    """The words of a command, and the exit code that the guide promises."""
    text, _, promise = line.partition("#")
    code = re.fullmatch(r" exits with (\d)", promise)
    assert bool(promise) == bool(code), line
    return shlex.split(text.removeprefix(PROGRAM)), int(code[1]) if code else 0


@pytest.mark.parametrize(
    "line", [c for c in COMMANDS if re.match(f"{PROGRAM} (call|tools|doctor)", c)]
)
def test_a_command_works(reader, line):
    words, code = command(line)
    done = run(reader, sys.executable, "-m", "bridge", *words)
    assert done.returncode == code, done.stderr
    assert done.stdout


@pytest.mark.parametrize("line", [c for c in COMMANDS if c.startswith(f"{PROGRAM} check")])
def test_a_check_ends_as_promised(reader, line):
    pytest.importorskip("bridge.thread_safety.exercise")
    words, code = command(line)
    done = run(reader, sys.executable, "-m", "bridge", *words)
    assert done.returncode == code, done.stdout + done.stderr


def test_the_library_page_is_there():
    pytest.importorskip("bridge.thread_safety.exercise")
    for page in re.findall(r"\]\(([\w-]+\.md)\)", GUIDE):
        assert (ROOT / "docs" / page).exists(), page


# -- Elixir ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Path:
    """A mix project with the client and the guide's Python."""
    mix = shutil.which("mix")
    if mix is None:
        pytest.skip("Elixir is not installed")
    parent = tmp_path_factory.mktemp("elixir")
    subprocess.run([mix, "new", "my_app"], cwd=parent, check=True, capture_output=True)
    app = parent / "my_app"
    mixfile = (app / "mix.exs").read_text()
    new, count = re.subn(r"defp deps do\n *\[\n", lambda found: f"{found[0]}{CLIENT}\n", mixfile)
    assert count == 1, mixfile
    (app / "mix.exs").write_text(new)
    give_compiled(app)
    (app / "python").mkdir()
    for name in ADAPTERS:
        (app / name).write_text(FILES[name])
    return app


@pytest.mark.parametrize("number", range(len(ELIXIR)))
def test_an_elixir_block_matches_all_that_it_promises(app, number):
    if "--thread-safety-check" in ELIXIR[number]:
        pytest.importorskip("bridge.thread_safety.exercise")
    (app / "block.exs").write_text(ELIXIR[number] + '\nIO.puts("all matched")\n')
    done = run(app, shutil.which("mix"), "run", "block.exs", env={"BRIDGE_PYTHON": sys.executable})
    assert done.stdout.endswith("all matched\n"), done.stdout + done.stderr

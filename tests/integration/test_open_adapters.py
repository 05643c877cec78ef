"""Adapters for code that is no adapter: ``Notebook`` and ``Functions``, in real processes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bridge.adapters.functions import Functions, public_functions
from bridge.adapters.notebook import MAX_SESSIONS
from bridge.errors import AdapterError, CallError, ToolNotFound
from bridge.testing import PortPeer

NOTEBOOK = "bridge.adapters.notebook:Notebook"
FUNCTIONS = "bridge.adapters.functions:Functions"


@pytest.fixture
def notebook(start: Callable[..., PortPeer]) -> PortPeer:
    return start("--max-workers", "4", adapter=NOTEBOOK)


def failed(peer: PortPeer, tool: str, params: Any, **options: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        peer.result(peer.request(tool, params, **options))
    return caught.value


def run(peer: PortPeer, code: str, session: str = "", **values: Any) -> Any:
    params = {"code": code, "values": values} if values else [code]
    options = {"session": session} if session else {}
    return peer.result(peer.request("run", params, **options))


def test_the_last_expression_is_the_answer(notebook: PortPeer) -> None:
    assert run(notebook, "x = 20\nx + 1") == 21
    assert run(notebook, "x = 5") is None
    assert run(notebook, "") is None
    assert run(notebook, "[x, y]", y="text") == [5, "text"]
    assert run(notebook, "def f(n):\n    return n * 2\n\nclass A: pass\n\nf(y)") == "texttext"
    assert run(notebook, "import math; math.pi") == math.pi
    assert run(notebook, "(lambda: x)()") == 5  # names of the session are globals


def test_each_session_has_names_of_its_own(notebook: PortPeer) -> None:
    run(notebook, "x = 1", session="a")
    assert "x" in failed(notebook, "run", ["x"], session="b").message
    assert run(notebook, "x", session="a") == 1
    assert notebook.result(notebook.request("reset", [], session="a")) is True
    assert failed(notebook, "run", ["x"], session="a").type == "builtins.NameError"


def test_sessions_are_bounded(notebook: PortPeer) -> None:
    for number in range(MAX_SESSIONS + 1):
        run(notebook, f"x = {number}", session=f"s{number}")
    assert failed(notebook, "run", ["x"], session="s0").type == "builtins.NameError"
    assert run(notebook, "x", session=f"s{MAX_SESSIONS}") == MAX_SESSIONS


def test_what_is_printed_is_logged_with_the_call(notebook: PortPeer) -> None:
    msgid = notebook.request("run", ["print('one')\nprint('two', end='')\nprint('ä', 3)"])
    notebook.result(msgid)
    assert [line[2] for line in _logs(notebook, 2)] == ["one", "twoä 3"]


def _logs(peer: PortPeer, count: int) -> list[Any]:
    return [peer.notification("$/log") for _ in range(count)]


def test_errors_show_the_line_of_the_cell(notebook: PortPeer) -> None:
    error = failed(notebook, "run", ["a = 1\n1 / 0  # here"])
    assert error.type == "builtins.ZeroDivisionError"
    assert any("1 / 0  # here" in line for line in error.traceback or [])
    assert failed(notebook, "run", ["1 +"]).type == "builtins.SyntaxError"
    assert failed(notebook, "run", ["x", {"no name": 1}]).code == "invalid_argument"
    assert failed(notebook, "run", ["exit(3)"]).type == "builtins.SystemExit"
    assert failed(notebook, "run", [5]).code == "invalid_argument"
    assert run(notebook, "1") == 1


def test_cells_of_one_session_run_one_after_the_other(notebook: PortPeer) -> None:
    run(notebook, "import threading\nbegun, end = threading.Event(), threading.Event()")
    first = notebook.request("run", ["begun.set()\nend.wait(30)\nx = 'first'"])
    other = notebook.request("run", ["1"], session="other")
    assert notebook.result(other) == 1
    second = notebook.request("run", ["x"])
    third = notebook.request("run", ["x"], timeout_ms=300)
    with pytest.raises(CallError, match="time"):
        notebook.result(third)
    # the waiting cell has names of the same session, so it is the first that must be let go
    stats = notebook.call("$/stats")
    assert stats["tools"]["run"]["in_flight"] >= 2
    _release(notebook)
    notebook.result(first)
    assert notebook.result(second) == "first"


def _release(peer: PortPeer) -> None:
    """Let the first cell end, from another session of the same process."""
    code = (
        "import gc, threading\n"
        "frames = __import__('sys')._current_frames().values()\n"
        "for frame in frames:\n"
        "    while frame:\n"
        "        if 'begun' in frame.f_globals:\n"
        "            frame.f_globals['end'].set()\n"
        "        frame = frame.f_back\n"
    )
    run(peer, code, session="releases")


def test_public_functions_of_modules_that_are_named(start: Callable[..., PortPeer]) -> None:
    peer = start("--allow", "numpy.linalg,math", adapter=FUNCTIONS)
    assert peer.call("math.sqrt", [16]) == 4.0
    assert peer.call("numpy.linalg.norm", [[3, 4]]) == 5.0
    names = {tool["name"] for tool in peer.call("$/tools")}
    assert {"math.gcd", "numpy.linalg.inv"} <= names
    assert not [name for name in names if "._" in name or "load" in name]
    for name in (
        *("numpy.load", "numpy.linalg.load", "numpy.linalg.numpy.load", "numpy.linalg.linalg.norm"),
        *("math.sqrt.__call__", "math.__loader__", "math.pi", "numpy.linalg.LinAlgError", "sqrt"),
        *("os.system", "builtins.eval", "math", "math.", ".sqrt", "numpy.linalg._linalg.norm"),
    ):
        with pytest.raises(ToolNotFound):
            peer.call(name, [])


def test_only_what_a_module_defines_itself(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, json\n"
        "from math import sqrt\n"
        "from json import loads, dumps as text\n"
        "class Box:\n"
        "    def get(self): ...\n"
        "box = Box()\n"
        "def own(a, b=2): return a + b\n"
        "def _private(): ...\n"
        "def load_all(path): ...\n"
        "other_name = own\n"
        "call = box.get\n"
        "same = lambda: 1\n"
    )
    arguments = ("--adapter", FUNCTIONS, "--allow", "mine", "--app-dir", str(tmp_path))
    with PortPeer(*arguments) as peer:
        assert [tool["name"] for tool in peer.call("$/tools")] == ["mine.own"]
        assert peer.call("mine.own", {"a": 1}) == 3


def refusal(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bridge", *arguments],
        capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    return done.stderr.decode()


@pytest.mark.parametrize(
    ("allow", "what"),
    [
        ("os", "--allow os: its functions run code or programs"),
        ("importlib.util", "--allow importlib.util: its functions"),
        ("math.sqrt", "--allow math.sqrt: there is no such module"),
        ("nowhere", "--allow nowhere: there is no such module"),
        ("this_is.none", "there is no such module"),
    ],
)
def test_what_cannot_be_allowed(allow: str, what: str) -> None:
    assert what in refusal("--adapter", FUNCTIONS, "--allow", allow)


def test_nothing_is_served_unless_it_is_named(tmp_path: Path) -> None:
    assert "serves nothing until modules are named: --allow" in refusal("--adapter", FUNCTIONS)
    showcase = ("--adapter", "bridge.adapters.showcase:Showcase")
    assert "--allow is for bridge.adapters.functions:Functions" in refusal(
        *showcase, "--allow", "math"
    )


@pytest.mark.parametrize("adapter", [(NOTEBOOK,), (FUNCTIONS, "--allow", "math")])
def test_over_the_network_only_with_a_token(adapter: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    from .grpc_peer import GrpcPeer

    assert "--token-file FILE" in refusal(
        "--adapter", *adapter, "--transport", "grpc", "--port", "0"
    )
    assert "--token-file FILE" in refusal("--adapter", *adapter, "--transport", "stdio,grpc")
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    bearer = [("authorization", "Bearer 0123456789abcdef0123456789abcdef")]
    arguments = ("--adapter", *adapter, "--token-file", str(token))
    with GrpcPeer(*arguments, metadata=bearer) as peer:
        if adapter == (NOTEBOOK,):
            assert peer.call("run", ["1 + 1"]) == 2
        else:
            assert peer.call("math.sqrt", [4]) == 2


def test_the_commands_take_modules_too() -> None:
    command = [sys.executable, "-P", "-m", "bridge", "call", FUNCTIONS, "math.sqrt", "[9]"]
    done = subprocess.run([*command, "--allow", "math"], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("3.0\n", 0)


@pytest.mark.parametrize(
    "name", ["posixpath", "_posixsubprocess", "_io", "__main__", "pip", "distutils.spawn", "venv"]
)
def test_no_other_name_of_a_module_that_is_refused_is_allowed(name: str) -> None:
    with pytest.raises(AdapterError, match="its functions run code or programs, or open files"):
        Functions.allowing((name,)).__bind_tools__(object.__new__(Functions.allowing((name,))))


def test_a_module_is_refused_by_its_own_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "harmless", subprocess)
    adapter = Functions.allowing(("harmless",))
    with pytest.raises(AdapterError, match="--allow harmless: its functions run code"):
        adapter.__bind_tools__(object.__new__(adapter))


def test_functions_that_read_files_or_run_programs_are_left_out() -> None:
    module = ModuleType("harmless")
    source = "".join(
        f"def {name}(): pass\n" for name in ("system", "fromregex", "get_data", "main", "f")
    )
    exec(source, vars(module))
    assert [*public_functions(module)] == ["f"]

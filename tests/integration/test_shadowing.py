"""Files of the working directory take the place of no module that the bridge needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.testing import PortPeer
from tests.waiting import WAIT_S

PLAIN = """
from bridge import ThreadSafeAdapter, tool

class Plain(ThreadSafeAdapter):
    @tool
    def add(self, a, b):
        return a + b
"""


def loaded_by(code: str) -> set[str]:
    program = f"import sys; {code}; print(*sys.modules)"
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


#: What ``python -m`` itself imports, before it looks for our code: there, only -P helps.
BEFORE_US = loaded_by("import runpy")
STANDARD = set(sys.stdlib_module_names) - {"__main__"}
CALL = ("-m", "bridge", "call", "plain:Plain", "add", "[1, 2]")


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A directory with an adapter, and a file for each module that there is."""

    def shadow(*names: str) -> Path:
        for name in names:
            (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the wrong {name}')")
        return tmp_path

    (tmp_path / "plain.py").write_text(PLAIN)
    return shadow


def run(*words: str, cwd: Path) -> tuple[int, str, str]:
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_S
    )
    return done.returncode, done.stdout, done.stderr


def test_a_command_imports_nothing_of_the_working_directory_but_the_adapter(full):
    cwd = full(*STANDARD - BEFORE_US, "msgpack", "numpy", "grpc", "google")
    assert run(*CALL, cwd=cwd) == (0, "3\n", "")


def test_started_with_safe_path_not_even_python_itself_does(full):
    cwd = full(*STANDARD, "msgpack", "numpy", "grpc", "google", "bridge")
    assert run("-P", *CALL, cwd=cwd) == (0, "3\n", "")


@pytest.mark.parametrize("options", [(), ("--no-inline", "--thread-safety-check")])
def test_serving_imports_nothing_of_the_working_directory_but_the_adapter(full, options):
    cwd = full(*STANDARD, "msgpack", "numpy", "bridge")
    with PortPeer("--adapter", "plain:Plain", *options, cwd=str(cwd)) as peer:
        assert peer.call("add", [1, 2]) == 3


def test_modules_started_as_snakepit_does_import_nothing_of_it_either(full):
    pytest.importorskip("grpc")
    cwd = full(*STANDARD - BEFORE_US, "msgpack", "numpy", "grpc", "google")
    code, out, err = run("-m", "bridge.snakepit", "--version", cwd=cwd)
    assert (code, out.split()[0], err) == (0, "bridge", "")


@pytest.mark.parametrize("flags", [(), ("-P",)])
def test_the_named_directory_comes_first_and_the_default_last(full, tmp_path, flags):
    cwd = full("queue")
    (tmp_path / "shows.py").write_text(
        "import sys\nfrom bridge import tool\n@tool\ndef path(): return sys.path\n"
    )
    for named, place in (((), -1), (("--app-dir", "."), 0)):
        code, out, _ = run(*flags, "-m", "bridge", "call", "shows", "path", *named, cwd=cwd)
        assert code == 0
        path = [line.strip(' ",') for line in out.splitlines()[1:-1]]
        assert path[place] == str(cwd)
        assert path.count(str(cwd)) == 1


def test_the_import_of_the_package_elsewhere_leaves_the_path_alone(full):
    cwd = full("queue")
    (cwd / "mine").mkdir()
    (cwd / "mine" / "__init__.py").write_text("import sys, bridge\nprint(sys.path[0])\n")
    (cwd / "mine" / "__main__.py").write_text("")
    (cwd / "queue.py").write_text("")
    assert run("-m", "mine", "bridge", cwd=cwd) == (0, f"{cwd}\n", "")


def test_an_adapter_whose_name_is_taken_says_by_whom_and_the_way_out(full):
    cwd = full()
    (cwd / "queue.py").write_text(PLAIN)
    code, _, err = run("-m", "bridge", "tools", "queue:Plain", cwd=cwd)
    assert code == 1
    assert "module 'queue' has no 'Plain'" in err
    assert f"to have that of {cwd} instead, give --app-dir {cwd}" in err
    code, out, _ = run("-m", "bridge", "tools", "queue:Plain", "--app-dir", ".", cwd=cwd)
    assert (code, out) == (0, "add(a, b)\n")

"""Where nothing is served, one line says so, whatever is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bridge
from tests.waiting import WAIT_S

ROOT = Path(bridge.__file__).parents[1]
#: Part of Python for POSIX only.
POSIX = ("fcntl", "grp", "pwd", "resource", "termios")


def run_as(tmp_path: Path, pretence: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with ``arguments``, where the code ``pretence`` has run before anything else."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{pretence}\n")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",  # frames, perhaps
        timeout=WAIT_S,
    )


OLD = "sys.version_info, sys.version = (3, 10, 13, 'final', 0), '3.10.13 (main)'"
OLD_LINE = f"bridge needs Python 3.11 or newer, and this is 3.10.13: {sys.executable}"


@pytest.mark.parametrize("program", ["bridge", "bridge.snakepit"])
def test_an_old_python_is_refused_in_one_line(tmp_path, program):
    done = run_as(tmp_path, OLD, "-m", program, "--adapter", "math")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", OLD_LINE + "\n")


def test_an_old_python_cannot_import_the_package(tmp_path):
    done = run_as(tmp_path, OLD, "-c", "import bridge")
    assert done.stderr.splitlines()[-1] == f"ImportError: {OLD_LINE}"


# What a module of Python sees when it is loaded is Linux; then the bridge finds itself on Windows,
# with nothing that is not there.
WINDOWS = f"""\
import argparse, os, select, socket, ssl, subprocess, tempfile, threading
for name in {POSIX}:
    sys.modules[name] = None
del select.poll, os.fork, os.register_at_fork, os.getsid, os.killpg
sys.platform = "win32"
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["bridge", "--adapter", "math"],
        ["bridge", "--adapter", "math", "--transport", "grpc"],
        ["bridge", "--help"],
        ["bridge", "tools", "math"],
        ["bridge", "doctor"],
        ["bridge.snakepit", "--adapter", "math.Class"],
        ["bridge.snakepit", "-c", "print(1)"],
    ],
    ids=" ".join,
)
def test_windows_is_refused_in_one_line(tmp_path, arguments):
    done = run_as(tmp_path, WINDOWS, "-m", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("bridge: Windows is not supported: ")
    assert "WSL" in line


def test_the_package_can_be_imported_on_windows(tmp_path):
    done = run_as(tmp_path, WINDOWS, "-c", "from bridge import ThreadSafeAdapter, tool")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("transport", ["grpc", "stdio,grpc"])
def test_free_threaded_python_without_grpcio_is_told_why(tmp_path, transport):
    pretence = "sys.abiflags, sys.modules['grpc'] = 't', None"
    arguments = ["--adapter", "bridge.adapters.showcase", "--transport", transport, "--port", "0"]
    done = run_as(tmp_path, pretence, "-m", "bridge", *arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "grpcio has no packages for free-threaded Python" in line
    assert "pip install" not in line

"""``bridge doctor``, in environments where packages are missing, too old or broken."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import bridge
from bridge.requirements import how_to_install, requirements
from tests.waiting import WAIT_S

HAS_GRPC = find_spec("grpc") is not None
TRANSPORTS = ("stdio", "grpc", "stdio,grpc", "snakepit") if HAS_GRPC else ("stdio",)


def rows_of(out: str) -> dict[str, str]:
    return {line[:24].strip(): line[24:] for line in out.splitlines()}


@pytest.fixture
def doctor(tmp_path):
    """Runs doctor where some modules are others; returns exit code, stdout and stderr."""

    def doctor(*argv: str, **instead: str) -> tuple[int, str, str]:
        for name, code in instead.items():
            (tmp_path / f"{name}.py").write_text(code)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bridge", *(argv or ("doctor",))],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return doctor


def test_doctor_shows_interpreter_packages_transports_and_descriptors(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = run("doctor")
    rows = rows_of(out)
    assert code == 0
    assert rows["bridge"] == bridge.__version__
    assert sys.executable in rows["python"]
    assert "GIL o" in rows["python"]
    assert rows["msgpack"][0].isdigit()
    assert rows["elixir"].startswith("not found; on Debian")
    assert {"numpy", "grpcio", "workers", "stdin", "stdout", "stderr"} <= rows.keys()
    for transport in TRANSPORTS:
        assert rows[transport].startswith("serves, ")


def test_doctor_says_whether_there_is_shared_memory_and_why_not(run, monkeypatch):
    from bridge.shared_memory import memory_file, why_unavailable

    row = rows_of(run("doctor")[1])["shared memory"]
    if why_unavailable() is None:
        assert row.startswith("available beside the pipe, up to 1024 MiB (--shared-memory); ")
        assert row.endswith(" MiB of memory are free")
    monkeypatch.setattr(memory_file.MemoryFile, "grow", no_memory)
    code, out, _ = run("doctor")
    row = rows_of(out)["shared memory"]
    assert code == 0  # the pipe does
    if hasattr(os, "memfd_create"):
        why = "no file in memory: [Errno 28] no room"
    else:
        why = "has no memfd_create, which Linux has"
    assert row.startswith("not available, large data goes through the pipe: ")
    assert row.endswith(why)


def no_memory(*_):
    raise OSError(28, "no room")


def test_doctor_sets_an_adapter_up_and_tells_whether_it_is_thread_safe(run):
    code, out, _ = run("doctor", "command_tools:Tools")
    assert code == 0
    assert rows_of(out)["adapter"] == "command_tools:Tools: 15 tools, declares itself thread-safe"
    rows = rows_of(run("doctor", "command_tools:Careful")[1])
    assert rows["adapter"].endswith("1 tools, needs --max-workers 1")


@pytest.mark.skipif(not HAS_GRPC, reason="what is not here cannot be broken")
def test_a_package_that_does_not_fit_is_found_by_starting(doctor):
    broken = "raise AttributeError('no attribute List')"
    code, out, _ = doctor(grpc_health=broken)
    rows = rows_of(out)
    assert code == 1
    assert rows["stdio"].startswith("serves, ")
    for transport in TRANSPORTS[1:]:
        assert rows[transport] == "FAILS: AttributeError: no attribute List"
    exactly = how_to_install(requirements("grpc"), exactly=True)
    assert f"known to serve: {exactly}" in out


@pytest.mark.skipif(not HAS_GRPC, reason="what is not here cannot be broken")
def test_a_fault_of_one_transport_is_told_as_such(doctor):
    """Reading the settings of Snakepit fails, and nothing else does."""
    code, out, _ = doctor(
        sitecustomize="import sys\nif 'bridge.snakepit' in sys.orig_argv: raise SystemExit(3)\n"
    )
    rows = rows_of(out)
    assert code == 1
    assert [rows[name].split()[0] for name in TRANSPORTS] == ["serves,"] * 3 + ["FAILS:"]


@pytest.mark.skipif(not HAS_GRPC, reason="it is missing anyway")
def test_serving_without_the_packages_of_grpc_says_the_command(doctor):
    missing = "raise ModuleNotFoundError(\"No module named 'grpc'\", name='grpc')"
    serve = ("--adapter", "bridge.trial.tools", "--transport", "grpc", "--max-workers", "1")
    code, _, err = doctor(*serve, grpc=missing)
    assert code == 1
    (line,) = err.splitlines()
    assert line.startswith("bridge: gRPC needs packages that are not here (No module named 'grpc'")
    assert "install" in line
    assert str(requirements("grpc")[0]).split(">=")[0] in line
    assert "beam-bridge" not in line


@pytest.mark.skipif(not HAS_GRPC, reason="it is missing anyway")
def test_reflection_without_its_package_is_refused_before_the_adapter_is_loaded(doctor):
    missing = "raise ModuleNotFoundError(\"No module named 'grpc_reflection'\")"
    serve = ("--adapter", "no.such:Adapter", "--transport", "grpc", "--reflection")
    code, _, err = doctor(*serve, grpc_reflection=missing)
    assert (code, err.count("\n")) == (1, 1)
    assert "No module named 'grpc_reflection'" in err


def test_without_msgpack_each_command_that_needs_it_says_the_command_for_it(tmp_path):
    """An interpreter that has only the standard library, and a checkout."""
    root = str(Path(bridge.__file__).parents[1])
    for words in (("--adapter", "x"), ("call", "x", "f"), ("doctor",)):
        program = (
            f"import sys; sys.path.append({root!r}); from bridge.cli.main import main; "
            f"sys.exit(main({list(words)!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 1
        said = done.stdout if words == ("doctor",) else done.stderr
        assert shlex.quote(str(requirements()[0])) in said
        assert "install" in said
        assert "Traceback" not in done.stderr

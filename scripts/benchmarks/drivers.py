"""The programs that make the calls: one in Elixir, one for gRPC. Both take jobs line by line."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack

from .subjects import ROOT, Subject

_HERE = Path(__file__).parent
_SOURCES = (
    ROOT / "elixir_fixture/lib/bridge.ex",
    *sorted((ROOT / "elixir_fixture/lib/bridge").rglob("*.ex")),
    *sorted((_HERE / "elixir").glob("*.ex")),
)


class DriverFailed(Exception):
    """A driver could not be started, or died."""


def compile_elixir(cache: Path) -> Path:
    """Compile the driver and ``Bridge.Client``, unless that is done. Returns the code path.

    Raises ``DriverFailed``.
    """
    ebin = cache / "ebin"
    stamp = ebin / "compiled"
    newest = max(source.stat().st_mtime for source in _SOURCES)
    if stamp.exists() and stamp.stat().st_mtime > newest:
        return ebin
    if shutil.which("elixirc") is None:
        raise DriverFailed("there is no elixirc: Elixir 1.14 or newer is needed")
    ebin.mkdir(parents=True, exist_ok=True)
    command = ["elixirc", "-o", str(ebin), *map(str, _SOURCES)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    if done.returncode:
        raise DriverFailed(f"elixirc: {(done.stderr + done.stdout).strip()}")
    stamp.touch()
    return ebin


def environment() -> dict[str, str]:
    """The environment of all that is measured."""
    return {
        **os.environ,
        # empty, not absent: interpreters keep their compiled files, as in any real use
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONUNBUFFERED": "",
        "PYTHONPATH": str(ROOT),
        # one thread for each product, or NumPy would use both cores for one
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
    }


class Driver:
    """A driver process, started when it is first used. ``cpu``: all of it runs on this CPU."""

    def __init__(self, command: list[str], cpu: int | None = None) -> None:
        self._command = command
        self._cpu = cpu
        self._process: subprocess.Popen[str] | None = None
        self._stderr = tempfile.TemporaryFile()

    def run(
        self,
        job: str,
        options: Mapping[str, Any],
        subject: Subject,
        program: list[str],
        env: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Do one job. Returns its figures; raises ``DriverFailed``."""
        line = {
            "workload": job,
            "options": {**options, **dict(subject.options)},
            "program": program,
            "dialect": subject.dialect,
            "directory": str(ROOT),
        }
        if env:
            line["program"] = ["env", *(f"{k}={v}" for k, v in env.items()), *program]
        answer = self._ask(line)
        if "error" in answer:
            raise DriverFailed(answer["error"])
        figures: dict[str, Any] = answer["figures"]
        return figures

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(base64.b64encode(msgpack.packb(message)).decode() + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self._stderr.seek(0)
            text = self._stderr.read().decode(errors="replace").strip()[-500:]
            self.close()
            raise DriverFailed(f"{self._command[0]} ended: {text}")
        answer: dict[str, Any] = msgpack.unpackb(base64.b64decode(line), strict_map_key=False)
        return answer

    def _start(self) -> subprocess.Popen[str]:
        affinity = os.sched_getaffinity(0) if self._cpu is not None else set()
        if self._cpu is not None:
            os.sched_setaffinity(0, {self._cpu})  # for the child to inherit
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                env=environment(),
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        except OSError as error:
            raise DriverFailed(str(error)) from error
        finally:
            if affinity:
                os.sched_setaffinity(0, affinity)
        return self._process

    def close(self) -> None:
        """End the driver, and with it what it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Drivers:
    """All drivers of a run, by what a subject and a workload need. A context manager."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._running: dict[str, Driver] = {}

    def __enter__(self) -> Drivers:
        return self

    def __exit__(self, *_: object) -> None:
        for driver in self._running.values():
            driver.close()

    def get(self, subject: Subject, *, pinned: bool) -> Driver:
        """The driver for a subject. Raises ``DriverFailed``."""
        key = f"{subject.driver} pinned" if pinned else subject.driver
        if key not in self._running:
            self._running[key] = self._make(subject.driver, pinned)
        return self._running[key]

    def _make(self, name: str, pinned: bool) -> Driver:
        cpu = None
        if pinned:
            if not hasattr(os, "sched_setaffinity"):
                raise DriverFailed("this system cannot keep a process on one CPU")
            cpu = min(os.sched_getaffinity(0))
        if name == "grpc":
            return Driver([sys.executable, str(_HERE / "grpc_driver.py")], cpu)
        ebin = compile_elixir(self._cache)
        command = ["elixir", "-pa", str(ebin), "-e", "Bench.Driver.main()"]
        return Driver(command, cpu)

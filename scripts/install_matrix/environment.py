"""An environment with nothing but the package and what it asked for, and what works there."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .bounds import OLDEST, differences, select
from .interpreters import Interpreter
from .uv import CannotInstall, clean_environment, uv

HERE = Path(__file__).parent
ANSWERED, REFUSED, NO_WHEEL = "answered", "refused, clearly", "no wheel"
TRANSPORTS = ("stdio", "grpc", "stdio,grpc", "snakepit")
#: For everything that is started in one environment, in seconds.
_LIMIT_S = 300


@dataclass
class Case:
    """One environment: an interpreter, extras, and the newest or the oldest versions."""

    python: Interpreter
    extras: tuple[str, ...]
    oldest: bool
    #: Where to find releases that the index does not have.
    find_links: Path | None = None
    #: What became of each transport, and of ``bridge doctor``.
    cells: dict[str, str] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)
    #: What must not be, in full.
    faults: list[str] = field(default_factory=list)
    #: What doctor printed.
    advice: str = ""

    @property
    def title(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else "base"
        return f"{self.python.name} {extras} {'oldest' if self.oldest else 'newest'}"

    def run(self, wheel: Path, requirements: list[Requirement], folder: Path) -> None:
        """Install into ``folder``, which does not exist yet, and try everything there."""
        try:
            python = self._install(wheel, requirements, folder / "env")
        except CannotInstall as error:
            self._not_installed(str(error))
            return
        tools = folder / "tools"
        tools.mkdir()
        shutil.copy(HERE / "plain_tools.py", tools)
        self.look(python, tools)

    def look(self, python: Path, tools: Path) -> None:
        """Try every transport, and doctor, in an environment as it is now."""
        self._call(python, tools)
        self._ask_doctor(python, tools)

    def follow(self, folder: Path) -> None:
        """Do what doctor has advised, with the command as it stands there, and look again."""
        _, _, command = self.advice.partition("To mend it: ")
        command = command.partition("\n")[0].rpartition(": ")[2]
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        self.faults = [] if done.returncode == 0 else [f"{command}\n{done.stderr}"]
        self.look(folder / "env" / "bin" / "python", folder / "tools")

    def _install(self, wheel: Path, requirements: list[Requirement], env: Path) -> Path:
        wanted = select(requirements, self.extras, self.python.markers)
        uv("venv", "--quiet", "--python", self.python.path, env)
        python = env / "bin" / "python"
        install = ["pip", "install", "--quiet", "--python", python]
        if self.find_links is not None:
            install += ["--find-links", self.find_links]
        # what uv is told to install is "direct"; of a wheel, that would be the wheel alone
        how = OLDEST if self.oldest else ("--only-binary", ":all:")
        lines = [f"{r.name}{r.specifier}" for r in wanted]
        uv(*install, *how, *lines)
        uv(*install, "--no-deps", wheel)
        uv("pip", "check", "--quiet", "--python", python)
        listed = json.loads(uv("pip", "list", "--format", "json", "--python", python))
        self.installed = {canonicalize_name(p["name"]): p["version"] for p in listed}
        if self.oldest:
            self.faults += differences(wanted, self.installed)
        return python

    def _not_installed(self, reason: str) -> None:
        # nobody makes them for every interpreter; for an ordinary one of a released Python they are
        expected = self.python.free_threaded and "wheel" in reason
        self.cells = dict.fromkeys(
            (*TRANSPORTS, "doctor"), NO_WHEEL if expected else "not installed"
        )
        if not expected:
            self.faults.append(reason)

    def _call(self, python: Path, tools: Path) -> None:
        done = self._start(python, "-I", HERE / "one_call.py", tools, cwd=tools)
        try:
            outcomes: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            self.faults.append(f"the client failed: {done.stderr.strip()}")
            return
        for transport, (outcome, _seconds) in outcomes.items():
            self.cells[transport] = self._judge(transport, outcome)

    def _judge(self, transport: str, outcome: str) -> str:
        needs_grpc = transport != "stdio"
        if needs_grpc and "grpc" not in self.extras:
            last = outcome.strip().splitlines()[-1]
            # grpcio is not made for free-threaded Python: there is no command that helps
            words = ("grpcio", "free-threaded" if self.python.free_threaded else "install")
            if all(word in last for word in words) and "Traceback" not in outcome:
                return REFUSED
            self.faults.append(f"{transport} was not refused in so many words:\n{outcome}")
            return "FAILED"
        if outcome != ANSWERED:
            self.faults.append(f"{transport}:\n{outcome}")
            return "FAILED"
        return ANSWERED

    def _ask_doctor(self, python: Path, tools: Path) -> None:
        """What doctor says must be what was seen."""
        done = self._start(python, "-P", "-m", "bridge", "doctor", cwd=tools)
        self.advice = done.stdout
        healthy = all(cell != "FAILED" for cell in self.cells.values())
        self.cells["doctor"] = {0: "well", 1: "ill"}.get(done.returncode, "FAILED")
        if (done.returncode == 0) != healthy:
            self.faults.append(
                f"bridge doctor (status {done.returncode}):\n{done.stdout}{done.stderr}"
            )

    def _start(
        self, python: Path, *arguments: str | Path, cwd: Path
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python), *map(str, arguments)],
            cwd=cwd,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )

"""The Pythons of this machine that the package is made for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OLDEST = (3, 11)
#: Printed by an interpreter: what the markers of requirements ask for, and two facts more.
_QUESTIONS = """
import json, os, platform, sys, sysconfig
print(json.dumps({
    "implementation_name": sys.implementation.name,
    "implementation_version": platform.python_version(),
    "os_name": os.name,
    "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "platform_release": platform.release(),
    "platform_system": platform.system(),
    "platform_version": platform.version(),
    "python_full_version": platform.python_version(),
    "python_version": ".".join(platform.python_version_tuple()[:2]),
    "sys_platform": sys.platform,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """One Python. ``markers``: what the markers of a requirement can ask for."""

    path: str
    markers: dict[str, str]
    free_threaded: bool

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.markers["python_version"].split("."))

    @property
    def name(self) -> str:
        return self.markers["python_full_version"] + "t" * self.free_threaded


def look_at(path: str) -> Interpreter | None:
    """The interpreter at a path; None if it does not run, or is too old."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", _QUESTIONS], capture_output=True, text=True, timeout=30, check=True
        )
        answers: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    free_threaded = answers.pop("free_threaded")
    found = Interpreter(path, answers, free_threaded)
    return found if found.version >= _OLDEST else None


def find_all() -> list[Interpreter]:
    """One of each minor version and kind (free-threaded or not) that is on the path or from pyenv."""
    found: dict[tuple[tuple[int, ...], bool], Interpreter] = {}
    for path in _candidates():
        interpreter = look_at(path)
        if interpreter is not None:
            found.setdefault((interpreter.version, interpreter.free_threaded), interpreter)
    return [found[key] for key in sorted(found)]


def _candidates() -> Iterator[str]:
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    folders = [*os.get_exec_path(), *(str(path) for path in pyenv.glob("versions/*/bin"))]
    for folder in dict.fromkeys(folders):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            if re.fullmatch(r"python3\.\d+t?", name) and shutil.which(name, path=folder):
                yield os.path.join(folder, name)

"""The installer: as fast as several environments in a minute ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: Would let an environment see more than what was installed there.
_HIDDEN = {"PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "UV_CONSTRAINT", "UV_OVERRIDE"}  # fmt: skip


class CannotInstall(Exception):
    """uv has refused, and why."""


def clean_environment() -> dict[str, str]:
    """The variables of this process, but for those that would lead out of an environment."""
    kept = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
    # where there is uv, which doctor may advise
    kept["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), kept.get("PATH", os.defpath)])
    return kept


def uv(*arguments: str | Path, stdin: str = "") -> str:
    """Run uv; returns what it prints. Raises ``CannotInstall``."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *map(str, arguments)],
        env=clean_environment(),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotInstall(done.stderr.strip())
    return done.stdout

"""The Elixir client, compiled once for all tests that only use it: that takes seconds each time."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "elixir_fixture"


@functools.cache
def compiled_client() -> Path:
    """The folder of its application, in ``_build``: as its sources are now."""
    build = PROJECT / "_build" / "dev" / "lib" / "beam_bridge"
    env = {**os.environ, "MIX_ENV": "dev"}
    done = subprocess.run(["mix", "compile"], cwd=PROJECT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return build


def give_compiled(app: Path) -> None:
    """Spare a Mix project, which depends on the client by ``path:``, to compile it as well.

    Mix compares what it finds with the sources, and compiles what differs.
    """
    target = app / "_build" / "dev" / "lib" / "beam_bridge"
    shutil.copytree(compiled_client(), target, symlinks=True)

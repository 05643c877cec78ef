"""What a start imports, and what ``wire/`` may know. The layers are in pyproject (import-linter)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parent
#: Bytes in, events out: no thread, clock or descriptor.
NEVER_IN_WIRE = {"threading", "time", "os", "socket", "select", "selectors", "asyncio", "queue"}
#: Each costs milliseconds of every start.
HEAVY = {
    *("typing", "inspect", "dataclasses", "logging", "json", "asyncio", "concurrent"),
    *("argparse", "numpy", "grpc", "torch", "google"),
}


def loaded_by(module: str) -> set[str]:
    """What is loaded when ``module`` is, beyond what Python loads on its own."""
    program = f"import sys; a = set(sys.modules); import {module}; print(*set(sys.modules) - a)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_nothing_heavy_is_loaded_to_serve() -> None:
    loaded = loaded_by("bridge.process.server")
    assert "bridge.transports.stdio.reader" in loaded
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith("bridge.thread_safety")}


def test_authors_of_tools_load_little() -> None:
    loaded = {name for name in loaded_by("bridge") if name.startswith("bridge.")}
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith(("bridge.wire", "bridge.transports"))}


@pytest.mark.parametrize("path", sorted(ROOT.glob("wire/*.py")), ids=lambda path: path.name)
def test_the_wire_knows_no_thread_clock_or_descriptor(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add((node.module or "").partition(".")[0])
    assert not imported & NEVER_IN_WIRE

"""What a start loads, and by which door each folder is entered.

The rest of what may import what is in pyproject.toml: [tool.importlinter], run by scripts/check.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

#: Each costs milliseconds of every start.
HEAVY = {
    *("typing", "inspect", "dataclasses", "logging", "json", "asyncio", "concurrent"),
    *("argparse", "numpy", "grpc", "torch", "google"),
}
#: What else than the ``__init__`` of a folder others import from it: what costs more than they need
#: or wants a package that may be absent, and folders that are doors themselves.
OPEN = {
    "bridge": {"*"},
    "bridge._generated": {"*"},
    "bridge.annotations": {"schema", "typed"},
    "bridge.adapters": {"showcase"},
    "bridge.cli": {"main"},
    "bridge.telemetry": {"server", "tracing"},
    # whose ``__init__`` is for authors of adapters
    "bridge.engines": {"engine", "interfaces", "processes", "ray_cluster", "settings"},
    "bridge.process": {
        *("adapter_life", "engine", "platforms", "server", "settings", "shutdown", "stdin_watch"),
        "watcher",
    },
    "bridge.snakepit": {"main"},
    "bridge.testing": {"erlang"},
    "bridge.testing.erlang": {"*"},
    "bridge.thread_safety": {"exercise"},
    "bridge.transports": {"grpc", "stdio"},
    "bridge.transports.grpc": {
        *("server", "settings", "bridge_service", "client"),
        # what Snakepit's service is made of
        *("behavior", "caller", "exchange", "sender", "service", "status"),
    },
    "bridge.wire": {"answers", "collected", "json_text", "json_values", "lending"},
}


def loaded_by(module: str) -> set[str]:
    """What is loaded when ``module`` is, beyond what Python loads on its own."""
    program = f"import sys; a = set(sys.modules); import {module}; print(*set(sys.modules) - a)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def below(loaded: set[str], *packages: str) -> set[str]:
    return {name for name in loaded if name.startswith(packages)}


def test_nothing_heavy_is_loaded_to_serve() -> None:
    loaded = loaded_by("bridge.process.server")
    assert "bridge.transports.stdio.reader" in loaded
    assert not loaded & HEAVY
    assert not below(loaded, "bridge.thread_safety", "bridge.transports.grpc", "bridge.testing")
    assert not below(
        loaded, "bridge.wire.json", "bridge.telemetry", "prometheus_client", "opentelemetry"
    )


def test_authors_of_tools_load_little() -> None:
    loaded = loaded_by("bridge")
    assert "bridge.tool" in loaded
    assert not loaded & HEAVY
    assert not below(loaded, "bridge.wire", "bridge.transports", "bridge.calls", "msgpack")


@pytest.fixture(scope="module")
def imports() -> Any:
    grimp = pytest.importorskip("grimp", reason="import-linter is not here")
    return grimp.build_graph("bridge", exclude_type_checking_imports=False, cache_dir=None)


def doors(imports: Any) -> set[tuple[str, str, str]]:
    """Folder, module in it, importer: each import from outside of a folder, below its __init__."""
    found = set()
    for imported in imports.modules:
        parts = imported.split(".")
        folders = [".".join(parts[:depth]) for depth in range(1, len(parts))]
        for importer in imports.find_modules_that_directly_import(imported):
            found |= {
                (folder, imported[len(folder) + 1 :].partition(".")[0], importer)
                for folder in folders
                if not f"{importer}.".startswith(f"{folder}.")
            }
    return found


def test_folders_are_entered_by_their_doors_only(imports: Any) -> None:
    opened = {(folder, name) for folder, names in OPEN.items() for name in names}
    for folder, name, importer in sorted(doors(imports)):
        assert {(folder, name), (folder, "*")} & opened, (
            f"{importer} imports {folder}.{name}, which is private to {folder}: "
            "import what its __init__ offers, or offer it there"
        )


def test_no_door_is_open_for_nobody(imports: Any) -> None:
    used = {(folder, name) for folder, name, _ in doors(imports)}
    entries = {
        "bridge",
        "bridge.adapters",
        "bridge.snakepit",
        "bridge.testing",
    }  # users' and scripts'
    assert not {
        f"{folder}.{name}"
        for folder in OPEN.keys() - entries
        for name in OPEN[folder] - {"*"}
        if (folder, name) not in used
    }

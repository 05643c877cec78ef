"""What a start loads, and by which door each folder is entered.

The rest of what may import what is in pyproject.toml: [tool.importlinter], run by scripts/check.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.testing import PortPeer
from tests.waiting import wait_until

#: Each costs milliseconds of every start.
HEAVY = {
    *("typing", "inspect", "dataclasses", "logging", "json", "asyncio", "concurrent"),
    *("argparse", "numpy", "grpc", "torch", "google"),
}
#: What a process over stdio has loaded of Python's own when it serves, beyond ``threading`` and msgpack,
#: and what ``python -m`` loads; and why.
LOADED = {
    "__future__": "annotations",
    "atexit": "what runs at the end is run before the process leaves",
    "collections.abc": "annotations of what is public",
    "contextvars": "each call has its own",
    "_contextvars": "of contextvars",
    "faulthandler": "says which tool has crashed the process",
    "fcntl": "pipes of 1 MiB",
    "gc": "nothing is collected while the server is imported",
    "heapq": "deadlines",
    "_heapq": "of heapq",
    "_queue": "a queue that signals may put into",
    "select": "the watcher",
    "functools": "threading, in the older Pythons",
    "_functools": "of functools",
}
#: How many modules of ours: each costs 0.1 to 0.2 ms. One more is worth it if most processes need it
#: for the first call; what fewer need is loaded by what needs it, and a moment after the start by
#: ``load_rest`` of its folder if calls may need it at any time.
OURS = 93
#: What ``load_rest`` loads: it may have been that quick.
REST = {
    *("bridge.calls.activity", "bridge.calls.errand", "bridge.calls.nesting", "bridge.calls.wakes"),
    *(
        "bridge.calls.report",
        "bridge.calls.stacks",
        "bridge.resident_memory",
        "bridge.process.memory",
    ),
    *("bridge.wire.plain", "bridge.wire.refusals", "bridge.wire.tables", "bridge.wire.tensors"),
    "bridge.wire.times",
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
    "bridge.wire": {"answers", "collected", "json_text", "json_values", "lending", "times"},
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


TOOL = """
import sys
from bridge import ThreadSafeAdapter, tool

class Tools(ThreadSafeAdapter):
    @tool
    def loaded(self):
        return list(sys.modules)
"""


def test_a_process_that_serves_has_loaded_what_the_first_call_needs(tmp_path: Path) -> None:
    (tmp_path / "tells.py").write_text(TOOL)
    with PortPeer("--adapter", "tells:Tools", "--app-dir", str(tmp_path)) as peer:
        loaded = set(peer.call("loaded"))
    program = "import sys, runpy, threading, msgpack; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    ours = below(loaded, "bridge")
    assert not loaded - ours - {"tells"} - set(done.stdout.split()) - LOADED.keys()
    assert len(ours - REST) == OURS, sorted(ours - REST)


def test_what_calls_may_need_is_loaded_soon(tmp_path: Path) -> None:
    (tmp_path / "tells.py").write_text(TOOL)
    with PortPeer("--adapter", "tells:Tools", "--app-dir", str(tmp_path)) as peer:
        at_first = set(peer.call("loaded"))
        wait_until(lambda: set(peer.call("loaded")) >= REST, "the rest")
        # of Python's own it brings nothing, which a file of the adapter could be in place of
        assert not set(peer.call("loaded")) - at_first - REST


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

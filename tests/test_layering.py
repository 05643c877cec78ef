"""The module map: earlier layers never import later ones, and starting up imports little."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parent

#: Earlier layers first. Each row: which modules of the bridge and which packages a module may
#: import when it is loaded; then all that its functions may import, the standard library
#: included. What only type checkers see does not count.
HOUSE = {
    "errors": ("", ""),
    "wire": ("", ""),
    "wire.messages": ("errors", ""),
    "wire.framing": ("errors", ""),
    "wire.values": ("errors msgpack", "numpy ml_dtypes"),
    "wire.plain": ("errors wire.values msgpack", ""),
    "wire.json_text": ("errors wire.values", ""),
    "wire.parts": ("wire.values", ""),
    "wire.codec": ("errors wire.messages wire.values wire.parts msgpack", ""),
    "wire.connection": ("errors wire.messages wire.framing wire.codec", ""),
    "context": ("errors", ""),
    "pace": ("", ""),
    "tool": ("errors context pace", "inspect annotationlib"),
    "adapter": ("errors tool", ""),
    "__init__": ("errors context tool adapter", ""),
    "adapters": ("", ""),
    "adapters.showcase": ("__init__ tool numpy", ""),
    "loading": ("errors adapter", "traceback"),
    "snakepit_adapter": ("errors context tool adapter loading", "asyncio traceback"),
    "thread_safety": ("", ""),
    "thread_safety.detector": ("", ""),
    "thread_safety.instrument": ("", ""),
    "thread_safety.libraries": ("", ""),
    "thread_safety.libraries.table": ("", "tomllib"),
    "thread_safety.libraries.__main__": ("thread_safety.libraries.table", ""),
    "thread_safety.detector.access_modes": ("", ""),
    "thread_safety.detector.findings": ("thread_safety.detector.access_modes", ""),
    "thread_safety.detector.happens_before": ("", ""),
    "thread_safety.detector.atomicity": (
        "thread_safety.detector.access_modes thread_safety.detector.happens_before",
        "",
    ),
    "thread_safety.detector.detector": (
        "thread_safety.detector.access_modes thread_safety.detector.findings thread_safety.detector.happens_before thread_safety.detector.atomicity",
        "",
    ),
    "thread_safety.instrument.symbols": ("", ""),
    "thread_safety.instrument.rewriter": ("thread_safety.instrument.symbols", ""),
    "thread_safety.instrument.builtins": ("thread_safety.detector.access_modes", ""),
    "thread_safety.instrument.shared_objects": ("thread_safety.instrument.builtins", ""),
    "thread_safety.instrument.stacks": ("", ""),
    "thread_safety.instrument.recorder": (
        "thread_safety.detector.access_modes thread_safety.instrument.builtins thread_safety.instrument.shared_objects thread_safety.instrument.stacks",
        "",
    ),
    "thread_safety.instrument.containers": (
        "thread_safety.detector.access_modes thread_safety.instrument.builtins thread_safety.instrument.shared_objects thread_safety.instrument.recorder",
        "",
    ),
    "thread_safety.instrument.variables": (
        "thread_safety.detector.access_modes thread_safety.instrument.builtins thread_safety.instrument.shared_objects thread_safety.instrument.containers",
        "",
    ),
    "thread_safety.instrument.probe": (
        "thread_safety.detector.access_modes thread_safety.instrument.builtins thread_safety.instrument.recorder thread_safety.instrument.variables",
        "",
    ),
    "thread_safety.instrument.sync": (
        "thread_safety.detector.happens_before thread_safety.instrument.recorder",
        "",
    ),
    "thread_safety.instrument.import_hook": ("thread_safety.instrument.rewriter", ""),
    "thread_safety.libraries.rules": (
        "thread_safety.detector.access_modes thread_safety.detector.findings thread_safety.libraries.table thread_safety.instrument.stacks",
        "",
    ),
    "thread_safety.pitfalls": ("", ""),
    "thread_safety.report": ("", ""),
    "tally": ("", ""),
    "deadlines": ("", ""),
    "logs": ("", "logging json"),
    "gil": ("", "warnings"),
    "event_loop": ("", "asyncio"),
    "pool": ("errors", ""),
    "call": ("errors context tally", "logs traceback"),
    "dispatcher": ("errors call deadlines event_loop pool tally", ""),
    "relay": ("", ""),
    "quick": ("call context tally", ""),
    "transports": ("", ""),
    "transports.stdio_writer": ("wire.framing wire.parts", ""),
    "transports.stdio": (
        "errors pace quick relay wire.codec wire.connection wire.messages transports.stdio_writer",
        "fcntl",
    ),
    "_generated": ("", ""),
    "_generated.bridge_pb2": ("google", ""),
    "transports.grpc_settings": ("errors", "ssl ipaddress logs"),
    "transports.grpc_json": ("wire.plain google", ""),
    "transports.grpc_status": ("errors transports.grpc_json grpc google", ""),
    "transports.grpc_rpc": ("wire.codec", ""),
    "transports.grpc_security": (
        "errors transports.grpc_settings transports.grpc_status grpc grpc_health",
        "logs",
    ),
    "transports.grpc": (
        "errors transports.grpc_rpc transports.grpc_security transports.grpc_settings "
        "grpc grpc_health",
        "grpc_reflection",
    ),
    "transports.grpc_sender": ("", ""),
    "transports.grpc_exchange": ("wire.messages transports.grpc_rpc", ""),
    "transports.grpc_service": (
        "errors wire.codec transports.grpc transports.grpc_exchange transports.grpc_json "
        "transports.grpc_sender transports.grpc_status _generated.bridge_pb2 grpc google",
        "",
    ),
    "_generated.snakepit_bridge_pb2": ("google", ""),
    "transports.snakepit_messages": (
        "errors wire.json_text _generated.snakepit_bridge_pb2",
        "",
    ),
    "transports.snakepit_elixir": (
        "errors transports.snakepit_messages _generated.snakepit_bridge_pb2 grpc",
        "",
    ),
    "transports.snakepit_exchange": (
        "errors wire.json_text wire.messages transports.grpc_exchange transports.snakepit_messages "
        "_generated.snakepit_bridge_pb2 google",
        "",
    ),
    "transports.snakepit": (
        "errors transports.grpc transports.grpc_sender transports.grpc_status "
        "transports.snakepit_exchange transports.snakepit_messages "
        "_generated.snakepit_bridge_pb2 grpc",
        "",
    ),
    "thread_safety.call_counts": (
        "gil thread_safety.detector.findings thread_safety.instrument.stacks",
        "",
    ),
    "thread_safety.checker": (
        "thread_safety.instrument.import_hook thread_safety.detector.detector thread_safety.call_counts "
        "thread_safety.pitfalls thread_safety.instrument.probe thread_safety.report thread_safety.libraries.rules "
        "thread_safety.instrument.sync",
        "",
    ),
    "thread_safety.example_arguments": ("", "hypothesis"),
    "thread_safety.exercise": (
        "context errors event_loop loading thread_safety.checker thread_safety.detector.findings "
        "thread_safety.example_arguments thread_safety.report",
        "",
    ),
    "lifeline": ("", ""),
    "leaving": ("", ""),
    "settings": ("", ""),
    "server": (
        "__init__ errors gil leaving loading pool dispatcher transports.stdio",
        "lifeline logs json thread_safety.checker transports.grpc transports.grpc_service",
    ),
    "commands": (
        "__init__ errors wire.messages wire.codec loading pool dispatcher",
        "gil stat sysconfig thread_safety.exercise",
    ),
    "options": ("__init__", "argparse"),
    "cli": ("options", "settings server commands transports.grpc_settings"),
    "__main__": ("cli", ""),
    "snakepit": (
        "__init__ errors leaving lifeline loading snakepit_adapter transports.grpc_settings settings "
        "server",
        "transports.snakepit transports.snakepit_elixir grpc",
    ),
    "testing.inbox": ("errors wire.codec wire.messages", ""),
    "testing.port": ("", ""),
    "testing.port_peer": ("errors wire.codec wire.framing testing.inbox testing.port", ""),
    "testing.connection_pair": ("wire.codec wire.connection wire.framing", ""),
    "testing.erlang_terms": ("errors", ""),
    "testing.external_terms": ("testing.erlang_terms", ""),
    "testing.erlang_strategies": (
        "testing.erlang_terms testing.external_terms hypothesis",
        "",
    ),
    "testing.elixir_peer": ("testing.inbox testing.port_peer testing.erlang_terms", ""),
    "testing.erlport_peer": (
        "errors wire.framing testing.inbox testing.port testing.erlang_terms "
        "testing.external_terms",
        "",
    ),
    "testing": ("", "testing.connection_pair testing.inbox testing.port_peer"),
    "testing.pytest_plugin": ("pytest", "testing.port_peer"),
}
#: The core is bytes in, events out.
NEVER_IN_WIRE = {"threading", "time", "os", "socket", "select", "selectors", "asyncio", "queue"}
#: Each costs milliseconds of every start.
HEAVY = {
    *("typing", "inspect", "dataclasses", "logging", "json", "asyncio", "concurrent"),
    *("argparse", "numpy", "grpc", "torch"),
}
#: Not loaded to serve over stdio, or only to read the command line.
MAY_BE_HEAVY = {"commands": HEAVY - {"numpy", "grpc", "torch"}}
MAY_BE_HEAVY["adapters.showcase"] = {"numpy"}
MAY_BE_HEAVY["transports.grpc"] = {"grpc", "concurrent"}
MAY_BE_HEAVY |= {
    "thread_safety.checker": {"logging"},
    "thread_safety.pitfalls": {"inspect"},
    "thread_safety.instrument.sync": {"concurrent"},
}
MAY_BE_HEAVY["transports.grpc_security"] = {"grpc"}
MAY_BE_HEAVY["transports.grpc_service"] = {"grpc"}
MAY_BE_HEAVY["transports.grpc_status"] = {"grpc"}
MAY_BE_HEAVY["wire.json_text"] = {"json"}
MAY_BE_HEAVY["transports.snakepit_messages"] = {"json"}
MAY_BE_HEAVY["transports.snakepit"] = {"grpc"}
MAY_BE_HEAVY["transports.snakepit_elixir"] = {"grpc"}
MAY_BE_HEAVY["snakepit"] = {"argparse"}
MAY_BE_HEAVY |= {
    "testing.inbox": {"typing"},
    "testing.port_peer": {"typing"},
    "testing.connection_pair": {"typing"},
}
MAY_BE_HEAVY["testing.erlang_terms"] = {"dataclasses"}


class Imports(ast.NodeVisitor):
    """What a source imports when it is loaded, and what in its functions, as absolute names."""

    def __init__(self, source: str, package: str) -> None:
        self.eager: set[str] = set()
        self.lazy: set[str] = set()
        self._package = package.split(".")
        self._found = self.eager
        self.visit(ast.parse(source))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.AST) -> None:
        outside, self._found = self._found, self.lazy
        self.generic_visit(node)
        self._found = outside

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Import(self, node: ast.Import) -> None:
        self._found.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        start = self._package[: len(self._package) - node.level + 1] if node.level else []
        base = ".".join([*start, *([node.module] if node.module else [])])
        for alias in node.names:
            self._found.add(f"{base}.{alias.name}")


def files() -> dict[str, Path]:
    """Every module of the bridge by its name below ``bridge``; that of the package is __init__."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


FILES = files()


def imports_of(name: str) -> Imports:
    parents = FILES[name].relative_to(ROOT.parent).parent.parts
    return Imports(FILES[name].read_text(), ".".join(parents))


def inside(imported: set[str]) -> set[str]:
    """Of absolute names, the modules of the bridge, named as in the map."""
    return set(map(module_of, filter(lambda name: top(name) == "bridge", imported)))


def module_of(name: str) -> str:
    below = name.split(".")[1:]
    while below and ".".join(below) not in FILES:
        below.pop()
    return ".".join(below) or "__init__"


def top(name: str) -> str:
    return name.partition(".")[0]


def outside(imported: set[str], *, standard: bool) -> set[str]:
    """Of absolute names, the packages that are (not) part of the standard library."""
    tops = set(map(top, imported)) - {"bridge"}
    return {name for name in tops if (name in sys.stdlib_module_names) == standard}


def words(row: str) -> Iterator[str]:
    return iter(row.split())


def test_every_module_stands_in_the_map() -> None:
    assert sorted(FILES) == sorted(HOUSE)


def test_earlier_layers_never_import_later_ones() -> None:
    order = list(HOUSE)
    for name, row in HOUSE.items():
        for allowed in words(" ".join(row)):
            if allowed in HOUSE:
                assert order.index(allowed) < order.index(name), f"{name} before {allowed}"


@pytest.mark.parametrize("name", HOUSE)
def test_a_module_imports_only_what_its_row_allows(name: str) -> None:
    found = imports_of(name)
    allowed = set(words(HOUSE[name][0]))
    assert inside(found.eager) | outside(found.eager, standard=False) <= allowed


@pytest.mark.parametrize("name", HOUSE)
def test_a_function_imports_only_what_its_row_allows(name: str) -> None:
    """A lazy import is a decision: it is listed, or it stands at the top of its file."""
    found = imports_of(name).lazy
    imported = inside(found) | outside(found, standard=True) | outside(found, standard=False)
    # a name of the package itself, as its version, is there already
    assert imported - {"__init__"} <= set(words(HOUSE[name][1]))


@pytest.mark.parametrize("name", [name for name in HOUSE if name.startswith("wire")])
def test_the_wire_knows_no_thread_clock_or_descriptor(name: str) -> None:
    found = imports_of(name)
    assert not outside(found.eager | found.lazy, standard=True) & NEVER_IN_WIRE
    assert all(part == "errors" or part.startswith("wire") for part in inside(found.eager))


@pytest.mark.parametrize("name", HOUSE)
def test_nothing_heavy_is_imported_at_the_top(name: str) -> None:
    eager = set(map(top, imports_of(name).eager))
    assert not eager & (HEAVY - MAY_BE_HEAVY.get(name, set()))


def test_nothing_heavy_is_loaded_to_serve() -> None:
    """Nor by what the modules themselves import; whatever Python loads on its own is not ours."""
    program = "import sys; a = set(sys.modules); import bridge.server; print(*set(sys.modules) - a)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "bridge.transports.stdio" in done.stdout.split()
    assert not set(done.stdout.split()) & HEAVY


def test_the_rows_say_what_the_architecture_wants() -> None:
    """Whoever widens a row meets the rules that must not change with it."""
    rows = {name: set(words(" ".join(row))) for name, row in HOUSE.items()}
    knows_msgpack = {name for name, row in rows.items() if "msgpack" in row}
    assert knows_msgpack == {"wire.values", "wire.plain", "wire.codec"}
    assert {name for name, row in rows.items() if "grpc" in row} == {
        "transports.grpc",
        "transports.grpc_security",
        "transports.grpc_service",
        "transports.grpc_status",
        "transports.snakepit",
        "transports.snakepit_elixir",
        "snakepit",  # to say whether it is there
    }
    assert rows["pool"] == {"errors"}
    for name, row in rows.items():
        if name.startswith("transports"):
            assert not row & {"tool", "adapter", "loading", "pool", "msgpack"}
    for name in ("context", "tool", "adapter", "loading", "pool", "call", "dispatcher"):
        assert not any(part.startswith(("wire.codec", "transports")) for part in rows[name])


def test_imports_are_told_apart() -> None:
    """The reader of imports itself, for this file rests on it."""
    source = """if True:
        TYPE_CHECKING = False
        if TYPE_CHECKING:
            import numpy
        else:
            import array
        import os.path, sys as system
        from ..errors import CallError
        from . import codec
        from .. import __version__
        try:
            from json import dumps
        except ImportError:
            pass
        class Thing:
            import heapq
            async def method(self):
                import asyncio
                def inner():
                    from ..logs import logger
        import queue
    """
    found = Imports(source, "bridge.wire")
    assert inside(found.eager) == {"errors", "wire.codec", "__init__"}
    tops = {"array", "os", "sys", "json", "heapq", "queue"}
    assert outside(found.eager, standard=True) == tops
    assert (inside(found.lazy), outside(found.lazy, standard=True)) == ({"logs"}, {"asyncio"})

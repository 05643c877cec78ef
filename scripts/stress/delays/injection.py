"""A copy of the package in which there may be a delay before each statement of some files."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
#: Where threads meet.
FILES = (
    "calls/async_calls.py",
    "calls/call.py",
    "calls/claim.py",
    "calls/deadlines.py",
    "calls/dispatcher.py",
    "calls/event_loop.py",
    "calls/execution.py",
    "calls/inline/runner.py",
    "calls/inline/watchdog.py",
    "calls/interrupter.py",
    "calls/items.py",
    "calls/job.py",
    "calls/nesting.py",
    "calls/pool.py",
    "calls/region.py",
    "calls/replacements.py",
    "calls/tool_threads.py",
    "process/main_queue.py",
    "transports/grpc/awaited.py",
    "transports/grpc/exchange.py",
    "transports/grpc/executor.py",
    "transports/grpc/reception.py",
    "transports/grpc/rpc.py",
    "transports/grpc/sender.py",
    "transports/stdio/elixir.py",
    "transports/stdio/peer.py",
    "transports/stdio/reader.py",
    "transports/stdio/stream.py",
    "transports/stdio/writer.py",
    "wire/connection.py",
)
#: What the server sets itself, and what it is set to here, in seconds.
_INTERVAL, _SHORTER = re.compile(r"^SWITCH_INTERVAL_S = .+$", re.M), "SWITCH_INTERVAL_S = 1e-6"
_PAUSE = "_pause"


def make_copy(directory: Path) -> None:
    """Write the package with delays, and the tools, to a directory."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "bridge", directory / "bridge", ignore=ignored)
    here = Path(__file__).parent
    shutil.copy2(here / "pauses.py", directory / "bridge" / "_pauses.py")
    shutil.copy2(here / "tools.py", directory / "delayed_tools.py")
    for name in FILES:
        path = directory / "bridge" / name
        path.write_text(inject(path.read_text()))
    server = directory / "bridge" / "process" / "server.py"
    text, found = _INTERVAL.subn(_SHORTER, server.read_text())
    if found != 1:
        raise SystemExit(f"{server.name} does not set the switch interval as it did")
    server.write_text(text)


def inject(source: str) -> str:
    """The same module, with a delay before each statement of its functions."""
    tree = _Injection().visit(ast.parse(source))
    name = ast.alias("pause", _PAUSE)
    first = next(
        place
        for place, statement in enumerate(tree.body)
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
    )
    tree.body.insert(first + 1, ast.ImportFrom("bridge._pauses", [name], 0))
    return ast.unparse(ast.fix_missing_locations(tree))


class _Injection(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return self._function(node)

    def _function(self, node: Any) -> Any:
        documented = ast.get_docstring(node) is not None
        text, body = node.body[:documented], node.body[documented:]
        node.body = text + self._statements(body)
        return node

    def _statements(self, body: list[Any]) -> list[Any]:
        delayed: list[Any] = []
        for statement in body:
            for field in ("body", "orelse", "finalbody"):
                inner = getattr(statement, field, None)
                if inner and not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                    setattr(statement, field, self._statements(inner))
            for handler in getattr(statement, "handlers", ()):
                handler.body = self._statements(handler.body)
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                statement = self._function(statement)
            call = ast.Call(ast.Name(_PAUSE, ast.Load()), [], [])
            delayed += [ast.Expr(call), statement]
        return delayed

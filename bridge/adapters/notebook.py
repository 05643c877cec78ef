"""Code that callers send, run as the cells of a notebook: for notebooks, trials, people from Pythonx.

Whoever can call it can do whatever this process can, so it is served only where it is asked for by
its name, ``bridge.adapters.notebook:Notebook``, and over the network only with ``--token-file``.
"""

from __future__ import annotations

import ast
import linecache
import sys
import threading
from collections import OrderedDict, deque
from contextvars import ContextVar
from typing import Any

from bridge import CallError, Context, ThreadSafeAdapter, tool

#: So many sessions are kept; then the one that was used longest ago is forgotten.
MAX_SESSIONS = 64
#: The source of so many cells of a session is kept, for tracebacks.
_MAX_CELLS = 100
#: A line that is longer is sent in parts.
_MAX_LINE = 8192


class Notebook(ThreadSafeAdapter):
    """Runs code. Each session of callers has names of its own, and runs one cell at a time.

    What a cell prints goes to the caller as lines of log.
    """

    __needs_token__ = True

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def setup(self) -> None:
        """Have what cells print go to their callers."""
        self._stdout = sys.stdout
        sys.stdout = _Printed(sys.stdout)

    def close(self) -> None:
        """Let printing be as it was."""
        sys.stdout = self._stdout

    @tool
    def run(self, code: str, values: dict[str, Any] | None = None, *, ctx: Context) -> Any:
        """Run Python code in the caller's session; the value of the last expression is the answer.

        Args:
            code: Statements; nil is the answer if the last of them is no expression.
            values: Names and what they are to be, assigned before the code runs.
        """
        session = self._session(ctx.session or "")
        with _Turn(session, ctx):
            return session.run(code, values or {}, ctx)

    @tool
    def reset(self, *, ctx: Context) -> bool:
        """Forget all names of the caller's session. True if there were any."""
        with self.acquire_lock():
            session = self._sessions.pop(ctx.session or "", None)
        if session is not None:
            session.forget()
        return session is not None

    def _session(self, name: str) -> _Session:
        with self.acquire_lock():
            session = self._sessions.get(name)
            if session is None:
                session = self._sessions[name] = _Session()
            self._sessions.move_to_end(name)
            idle = [key for key, each in self._sessions.items() if not each.turn.locked()]
            while len(self._sessions) > MAX_SESSIONS and idle:
                oldest = idle.pop(0)
                if oldest != name:
                    self._sessions.pop(oldest).forget()
            return session


class _Session:
    """The names of one session, and whose turn it is to use them."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
        self.turn = threading.Lock()
        self._cells: deque[str] = deque()

    def run(self, code: str, values: dict[str, Any], ctx: Context) -> Any:
        for name in values:
            if not isinstance(name, str) or not name.isidentifier():
                raise CallError(f"run: {name!r} in values is no name", code="invalid_argument")
        cell = f"<cell {ctx.id} of session {ctx.session or ''}>"
        tree = ast.parse(code, cell)
        self._remember(cell, code)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
        self.names.update(values)
        token = _printing.set(_Lines(ctx))
        try:
            exec(compile(tree, cell, "exec"), self.names)
            return None if last is None else eval(compile(last, cell, "eval"), self.names)
        finally:
            _printing.get().end()
            _printing.reset(token)

    def _remember(self, cell: str, code: str) -> None:
        """Keep the source, so that a traceback shows its lines."""
        linecache.cache[cell] = (len(code), None, code.splitlines(keepends=True), cell)
        self._cells.append(cell)
        while len(self._cells) > _MAX_CELLS:
            linecache.cache.pop(self._cells.popleft(), None)

    def forget(self) -> None:
        while self._cells:
            linecache.cache.pop(self._cells.popleft(), None)
        self.names = {}


class _Turn:
    """For ``with``: waits until the session's other cell has ended, or nobody waits for this one."""

    def __init__(self, session: _Session, ctx: Context) -> None:
        self._session = session
        self._ctx = ctx

    def __enter__(self) -> None:
        while not self._session.turn.acquire(timeout=0.1):
            self._ctx.check()

    def __exit__(self, *_: object) -> None:
        self._session.turn.release()


class _Lines:
    """What one cell prints, line by line, to its caller."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._rest = ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > _MAX_LINE:
            lines.append(self._rest)
            self._rest = ""
        for line in lines:
            self._ctx.log("info", line)

    def end(self) -> None:
        if self._rest:
            self._ctx.log("info", self._rest)
            self._rest = ""


#: What the cell that runs here prints to.
_printing: ContextVar[_Lines] = ContextVar("bridge_notebook_printing")


class _Printed:
    """Stands for ``sys.stdout``: of a cell to its caller, of everybody else to where it went."""

    def __init__(self, stdout: Any) -> None:
        self._stdout = stdout

    def write(self, text: str) -> int:
        lines = _printing.get(None)
        if lines is not None:
            lines.write(text)
        elif self._stdout is not None:
            self._stdout.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)

"""Elixir calls Python: tools, ordinary functions, served over a port on one pool of threads."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a checkout may be on the path of any Python
    _refusal = "bridge needs Python 3.11 or newer, and this is " + sys.version.split()[0]
    _refusal += ": " + sys.executable
    if sys.argv[:1] == ["-m"]:  # so it is while "python -m bridge" looks for what to run
        sys.exit(_refusal)
    raise ImportError(_refusal)

__version__ = "0.2.0"

# ``python -m bridge`` puts the working directory first on the path, and this is the first that it
# runs of ours: without it, a file queue.py in that directory would be imported in place of Python's.
if (
    sys.argv[:1] == ["-m"]
    and sys.orig_argv[-len(sys.argv)].removeprefix("-m").partition(".")[0] == __name__
    and not sys.flags.safe_path
):
    del sys.path[0]

from .adapter import (
    Adapter,
    RequestTracker,
    ThreadLocalStorage,
    ThreadSafeAdapter,
    thread_safe_method,
)
from .context import Context, current_context
from .errors import (
    AdapterError,
    BridgeError,
    CallError,
    Cancelled,
    DeadlineExceeded,
    ElixirError,
    Interrupted,
    InvalidParams,
    PoolFull,
    ShuttingDown,
    ToolFailed,
    ToolNotFound,
)
from .tool import tool

__all__ = [
    "Adapter",
    "AdapterError",
    "BridgeError",
    "CallError",
    "Cancelled",
    "Context",
    "DeadlineExceeded",
    "ElixirError",
    "Interrupted",
    "InvalidParams",
    "PoolFull",
    "RequestTracker",
    "ShuttingDown",
    "ThreadLocalStorage",
    "ThreadSafeAdapter",
    "ToolFailed",
    "ToolNotFound",
    "current_context",
    "thread_safe_method",
    "tool",
]

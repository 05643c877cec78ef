"""Elixir calls Python: tools, ordinary functions, served over a port on one pool of threads."""

__version__ = "0.1.0"

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

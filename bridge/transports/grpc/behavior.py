"""What gRPC calls a behavior, the function behind a method, with the attributes it looks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def mark(behavior: Callable[..., Any], **marks: object) -> Callable[..., Any]:
    """A function that does what ``behavior`` does, with attributes that gRPC looks for.

    Args:
        behavior: most often a bound method, which can have no attributes of its own.
        marks: ``experimental_thread_pool``, the ``ThreadPoolExecutor`` that runs it;
            ``experimental_non_blocking=True``, it takes a function that sends its responses.
    """

    def marked(*args: Any) -> Any:
        return behavior(*args)

    marked.__dict__.update(marks)
    return marked

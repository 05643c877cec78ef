"""What gRPC calls a behavior, the function behind a method, with the attributes it looks for."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any


class Place(Enum):
    """Where a behavior runs that is marked with ``place``; any other runs on a worker."""

    #: On the transport's own threads, once its message is here, however busy the workers are.
    ASIDE = "aside"
    #: As ``ASIDE``, for callers who have shown no token: they take no room from others.
    OPEN = "open"
    #: On the serving thread, at once, without a message. It must do no more than refuse.
    AT_ONCE = "at once"
    #: On threads for streams of requests, as many as there are, for a limited time.
    STREAM = "stream"
    #: As ``STREAM``, but for as long as the client wants.
    LASTING = "lasting"


def mark(behavior: Callable[..., Any], **marks: object) -> Callable[..., Any]:
    """A function that does what ``behavior`` does, with attributes that are looked for.

    Args:
        behavior: most often a bound method, which can have no attributes of its own.
        marks: ``place``, a ``Place``; ``experimental_non_blocking=True``, it takes a function that
            sends its responses, which gRPC looks for.
    """

    def marked(*args: Any) -> Any:
        return behavior(*args)

    marked.__dict__.update(marks)
    return marked

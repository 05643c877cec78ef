"""Values of threads that one call leaves behind, and another, on the same worker, reads.

``threading.local`` keeps threads apart, not calls: the next call of another caller finds what this one
has left. What a call makes because it found nothing is meant to stay, as a connection; what it writes
without having looked is meant for itself.
"""

from __future__ import annotations

import threading
from typing import Any

from ..detector import LEAK, Access, Finding
from .known_objects import Shared
from .recorder import Recorder
from .threads import ThreadStates

_ADVICE = "pass it as an argument, keep it in a ContextVar, or delete it at the end of the call"
#: How many values of one thread are remembered.
_MOST = 1_000


class ThreadLocals:
    """What is done to attributes of ``threading.local`` objects. For any thread.

    Args:
        threads: what is known of the calling thread.
        recorder: is told of what is read that another call has left.
    """

    def __init__(self, threads: ThreadStates, recorder: Recorder) -> None:
        self._threads = threads
        self._recorder = recorder

    def read(self, shared: Shared, name: str) -> None:
        """An attribute is about to be read, whether it is there or not."""
        here, key = self._threads, (shared.key, name)
        call = here.call
        if call is None:
            return
        left = here.left.get(key)
        if left is None:
            here.looked_for.add(key)
            return
        if left.call is call:
            return
        here.looked_for.add(key)
        reads = Access(here.number, 0, "read", frozenset(), here.stacks.here(), call)
        left.words, reads.words = "writes it in one call", "reads it in a later one"
        problem = "a call leaves it behind, and another one, on the same worker, reads it"
        self._recorder.report(Finding(LEAK, f"{shared.name}.{name}", problem, _ADVICE, left, reads))

    def looked_for(self, shared: Shared, name: str) -> None:
        """It is asked whether an attribute is there."""
        self._threads.looked_for.add((shared.key, name))

    def written(self, shared: Shared, name: str) -> None:
        """An attribute was written."""
        here, key = self._threads, (shared.key, name)
        if here.call is None or key in here.looked_for:
            here.left.pop(key, None)  # it is meant to stay
            return
        if len(here.left) >= _MOST:
            del here.left[next(iter(here.left))]
        here.left[key] = Access(here.number, 0, "write", frozenset(), here.stacks.here(), here.call)

    def deleted(self, shared: Shared, name: str) -> None:
        """An attribute was deleted: nobody finds it any more."""
        self._threads.left.pop((shared.key, name), None)


def is_local(value: Any) -> bool:
    """Whether it is an object of which each thread has its own attributes."""
    return issubclass(type(value), threading.local)

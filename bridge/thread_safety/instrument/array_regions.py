"""Which parts of an array an index means."""

from __future__ import annotations

from typing import Any

from ..detector import WRITE
from .builtins import is_a
from .known_objects import Shared
from .recorder import Recorder


def record_region(recorder: Recorder, shared: Shared, container: Any, key: Any, mode: str) -> None:
    """An access to ``container[key]``: parts are variables of their own where integers name them."""
    first = key[0] if is_a(key, tuple) and key else key
    if is_a(first, int) and container.base is None and container.shape:
        recorder.record_item(shared, first % (container.shape[0] or 1), mode)
        if mode == WRITE:
            recorder.record_overwriting(shared)
        return
    if is_a(first, slice) and container.base is None and container.shape:
        rows = range(*first.indices(container.shape[0]))
        if 0 < len(rows) <= 64 and len(rows) < container.shape[0]:
            for row in rows:
                recorder.record_item(shared, row, mode)
            if mode == WRITE:
                recorder.record_overwriting(shared)
            return
    recorder.record_array(shared, mode, container)

"""How much memory this process has in use, as the system counts it."""

from __future__ import annotations

import os

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: What of messages on their way is mapped beside the pipe: how much, by whatever its owner is known by.
#: It grows with the largest messages, is the peer's as well, and no tool has it.
_mapped: dict[int, int] = {}


def resident_bytes() -> int:
    """The resident set of this process, without its children, and without what ``map_messages`` was told.

    Any thread; 0 where that cannot be known.
    """
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0  # not Linux, or no descriptor left
    if _mapped:
        resident -= min(shared, sum(list(_mapped.values())) // _PAGE)
    return resident * _PAGE


def map_messages(owner: int, size: int) -> None:
    """So many bytes are mapped that hold messages; 0: they are not any more. Any thread, any end of an object."""
    if size:
        _mapped[owner] = size
    else:
        _mapped.pop(owner, None)

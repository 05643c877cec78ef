"""How much memory the system, and the control groups of this process, can still give."""

from __future__ import annotations

import os

#: By the version of control groups: the limit, what is used, and what of that are files, in ``memory.stat``.
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file")
_V2 = ("memory.max", "memory.current", "inactive_file", "active_file")


def free_memory(root: str = "/") -> int:
    """How many bytes can still be had without that something must be thrown out; as far as is known.

    Contents of files that the system keeps are free: it forgets them when memory is needed.

    Args:
        root: Where ``proc`` and ``sys`` are, with a slash at its end; default: those of the system.
    """
    free = 1 << 62
    try:
        with open(f"{root}proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    free = int(line.split()[1]) << 10
        with open(f"{root}proc/self/cgroup") as lines:
            groups = [line.rstrip("\n").split(":", 2) for line in lines]
    except (OSError, ValueError, IndexError):
        return free
    for number, controllers, group in (fields for fields in groups if len(fields) == 3):
        if "memory" in controllers.split(","):
            names, folder = _V1, f"{root}sys/fs/cgroup/memory"
        elif number == "0":
            names, folder = _V2, f"{root}sys/fs/cgroup"
        else:
            continue
        # a group has the limits of all above it; in a container only the end of its path may be there
        while True:
            free = min(free, _free_in(os.path.join(folder, group.lstrip("/")), *names))
            if group in ("", "/"):
                break
            group = os.path.dirname(group)
    return free


def _free_in(folder: str, most: str, used: str, *files: str) -> int:
    """How much one group can still give; very much if it has no limit."""
    try:
        with open(f"{folder}/{most}") as limit, open(f"{folder}/{used}") as current:
            free = int(limit.read()) - int(current.read())
        with open(f"{folder}/memory.stat") as stat:
            for line in stat:
                name, _, count = line.partition(" ")
                if name in files:
                    free += int(count)
    except (OSError, ValueError):
        return 1 << 62  # "max", or the group is not to be seen
    return max(0, free)

"""Where every tool is just now: the stacks of the threads that run tools.

Of a frame only the file, the line and the name of the function are read, so no values are shown.
"""

from __future__ import annotations

import sys
import time

from .call import Call
from .execution import Running, execute, is_own_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .job import Worker
    from .pool import Pool

#: Of a deeper stack the innermost frames are shown.
_MAX_FRAMES = 64
_NOT_SAFE = (
    "without the GIL the stack of a thread cannot be read while it runs: PYTHON_GIL=1 or an ordinary "
    "build of Python shows them"
)


def read_stacks(pool: Pool) -> dict[str, Any]:
    """What each thread that may run tools does now. Any thread may ask; nothing waits for it.

    Args:
        pool: whose workers and guests these are.

    Returns:
        ``threads``: a map for each, with the ``name`` of the thread and, while it runs one, its
        ``tool``, the ``id`` of the call (None: not known yet), for how many ``seconds``, whether
        it is ``abandoned``, and the ``stack``: maps of ``file``, ``line`` and ``function``,
        innermost last, or None where it cannot be read. ``left_out``: so many outer frames are
        not shown. ``note``: why there are no stacks, or None.
    """
    note = None if _are_safe() else _NOT_SAFE
    now = time.monotonic()
    frames = {} if note else sys._current_frames()
    return {"threads": [_describe(worker, frames, now) for worker in pool.everyone()], "note": note}


def show_stacks(stacks: dict[str, Any]) -> str:
    """What ``read_stacks`` returned, for a log: threads that run a tool, with a line for each frame."""
    lines = [] if stacks["note"] is None else [stacks["note"]]
    for thread in stacks["threads"]:
        if thread["tool"] is None:
            continue
        lines.append(f"{thread['name']}: {thread['tool']} for {thread['seconds']:.1f} s")
        if thread["left_out"]:
            lines.append(f"  … {thread['left_out']} frames")
        lines += [
            f'  File "{frame["file"]}", line {frame["line"]}, in {frame["function"]}'
            for frame in thread["stack"] or ()
        ]
    return "\n".join(lines)


def _are_safe() -> bool:
    """Whether frames of other threads may be read while these run."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def _describe(worker: Worker, frames: dict[int, FrameType], now: float) -> dict[str, Any]:
    job, thread = worker.job, worker.thread or worker.replaced
    tool = job.running_tool if isinstance(job, Running) else None
    stack, left_out = None, 0
    if tool is not None and thread is not None and thread.ident in frames:
        stack, left_out = _walk(frames[thread.ident])
    if worker.job is not job:
        job = tool = stack = None  # it has just gone on to something else
    return {
        "name": worker.name,
        "tool": tool,
        "id": job.key if isinstance(job, Call) else None,
        "seconds": 0.0 if tool is None else max(0.0, now - worker.since),
        "abandoned": isinstance(job, Call) and job.interruption is not None,
        "stack": stack,
        "left_out": left_out if stack is not None else 0,
    }


def _walk(frame: FrameType | None) -> tuple[list[dict[str, Any]], int]:
    """The frames of a tool, and how many outer ones are left out."""
    found = []
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        found.append({"file": code.co_filename, "line": frame.f_lineno, "function": name})
        frame = frame.f_back
    found.reverse()
    # how the bridge came to call the tool says nothing
    del found[: _begin_of_tool(found)]
    left_out = max(0, len(found) - _MAX_FRAMES)
    return found[left_out:], left_out


def _begin_of_tool(found: list[dict[str, Any]]) -> int:
    for number, frame in enumerate(found):
        if frame["file"] == execute.__code__.co_filename and frame["function"] == "execute":
            number += 1
            while number < len(found) and is_own_file(found[number]["file"]):
                number += 1
            return number
    return 0

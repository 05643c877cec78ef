"""Where every tool is just now: the stacks of the threads that run tools.

Of a frame only the file, the line and the name of the function are read, so no values are shown.
"""

from __future__ import annotations

import sys
import time

from .call import Call
from .execution import Running, execute
from .failures import is_own_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .job import Worker
    from .pool import Pool

#: Of a deeper stack the innermost frames are shown.
_MAX_FRAMES = 64
#: What a coroutine, a generator and an async generator have: their frame, and what that awaits.
_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITS = ("cr_await", "gi_yieldfrom", "ag_await")
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
    if frames and tool is not None:
        awaited = job.awaited if isinstance(job, Call) else None
        if awaited is not None:
            stack, left_out = _shorten(_of_awaited(awaited, frames))
        elif thread is not None and thread.ident in frames:
            found = _of_frame(frames[thread.ident])
            # how the bridge came to call the tool says nothing
            stack, left_out = _shorten(found[_begin_of_tool(found) :])
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


def _shorten(found: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The innermost frames, and how many others there are."""
    left_out = max(0, len(found) - _MAX_FRAMES)
    return found[left_out:], left_out


def _show(frame: FrameType) -> dict[str, Any]:
    code = frame.f_code
    name = getattr(code, "co_qualname", code.co_name)
    return {"file": code.co_filename, "line": frame.f_lineno, "function": name}


def _of_frame(frame: FrameType | None, outermost: FrameType | None = None) -> list[dict[str, Any]]:
    """A stack, innermost last, from ``outermost`` on; empty if that is none of its frames."""
    found, seen = [], outermost is None
    while frame is not None:
        found.append(_show(frame))
        if frame is outermost:
            seen = True
            break
        frame = frame.f_back
    return found[::-1] if seen else []


def _of_awaited(awaited: Any, frames: dict[int, FrameType]) -> list[dict[str, Any]]:
    """Where a coroutine is: what awaits what, and if it runs just now, what its thread does."""
    found: list[dict[str, Any]] = []
    while awaited is not None:
        frame = next(filter(None, (getattr(awaited, name, None) for name in _FRAMES)), None)
        if frame is None:
            break  # what waits for the world outside
        following = next(filter(None, (getattr(awaited, name, None) for name in _AWAITS)), None)
        if following is None:
            inner = (_of_frame(running, frame) for running in frames.values())
            found += next(filter(None, inner), [_show(frame)])
            break
        found.append(_show(frame))
        awaited = following
    return found


def _begin_of_tool(found: list[dict[str, Any]]) -> int:
    for number, frame in enumerate(found):
        if frame["file"] == execute.__code__.co_filename and frame["function"] == "execute":
            number += 1
            while number < len(found) and is_own_file(found[number]["file"]):
                number += 1
            return number
    return 0

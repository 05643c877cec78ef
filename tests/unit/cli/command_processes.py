"""What the tests of the commands as processes share: where they start, and how they end."""

import os
from pathlib import Path

from tests.waiting import WAIT_S

#: Where the tools for commands in this process are.
HERE = str(Path(__file__).parent)
# Python buffers what goes into a pipe, and finds out late that nobody reads it.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


TOOLS = """
from bridge import Context, tool

@tool
def add(a, b):
    return a + b

@tool
def fails():
    raise ValueError("as expected")

@tool
def count():
    n = 0
    while True:
        yield n
        n += 1

@tool
def polite(ctx: Context):
    ctx.progress(1, 2, "begun")
    ctx.wait(60)
    ctx.check()

@tool
def ignores_cancel(ctx: Context):
    import threading
    ctx.progress(1, 2, "begun")
    threading.Event().wait(60)
"""


def outcome(process):
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out, err

"""Tools of a process that may have no more threads from some moment on."""

import os
import threading
import time

from bridge import ThreadSafeAdapter, tool


def exhaust() -> None:
    threading.stack_size(1 << 46)  # there is no stack of that size


class NoThreads(ThreadSafeAdapter):
    def setup(self):
        if "NO_THREADS" in os.environ:
            exhaust()

    @tool
    def exhaust(self):
        exhaust()

    @tool
    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    @tool
    async def wait(self):
        return "done"

"""A flag is no lock: two threads see it down, both put it up and both go in."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "busy"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.busy = False
        self.printed = 0

    @tool(examples=[[2]])
    def print_pages(self, pages):
        if self.busy:
            return "busy"
        self.busy = True
        self.printed += pages
        self.busy = False
        return "printed"


class Mended(ThreadSafeAdapter):
    """A lock that is tried without waiting: who does not get it stays out."""

    def setup(self):
        self.printer = threading.Lock()
        self.printed = 0

    @tool(examples=[[2]])
    def print_pages(self, pages):
        if not self.printer.acquire(blocking=False):
            return "busy"
        try:
            self.printed += pages
        finally:
            self.printer.release()
        return "printed"

"""Every call makes a lock of its own, which nobody else can hold: it excludes no one."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "copies"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.copies = 0

    @tool(examples=[[2]])
    def copy_pages(self, pages):
        lock = threading.Lock()
        with lock:
            self.copies += pages
            return self.copies


class Mended(ThreadSafeAdapter):
    """The lock is made once, in `setup()`."""

    def setup(self):
        self.lock = threading.Lock()
        self.copies = 0

    @tool(examples=[[2]])
    def copy_pages(self, pages):
        with self.lock:
            self.copies += pages
            return self.copies

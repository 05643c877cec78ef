"""The lock is right, but the table is published empty and filled while others already read it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "squares"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.squares = None

    @tool(examples=[[3], [40]])
    def square(self, number):
        if self.squares is None:
            with self.lock:
                if self.squares is None:
                    self.squares = {}
                    for n in range(50):
                        self.squares[n] = n * n
        return self.squares[number]


class Mended(ThreadSafeAdapter):
    """The table is filled in a local variable and published when it is complete."""

    def setup(self):
        self.lock = threading.Lock()
        self.squares = None

    @tool(examples=[[3], [40]])
    def square(self, number):
        if self.squares is None:
            with self.lock:
                if self.squares is None:
                    table = {}
                    for n in range(50):
                        table[n] = n * n
                    self.squares = table
        return self.squares[number]

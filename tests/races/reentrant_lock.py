"""A helper gives the lock back although its caller still needs it: moves are counted without it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "moves"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.square, self.moves = 0, 0

    def _step(self, squares):
        self.square = (self.square + squares) % 64
        self.lock.release()

    @tool(examples=[[3], [5]])
    def move(self, squares):
        self.lock.acquire()
        self._step(squares)
        self.moves += 1


class Mended(ThreadSafeAdapter):
    """An `RLock` is taken again by the helper and is free only when the caller is done, too."""

    def setup(self):
        self.lock = threading.RLock()
        self.square, self.moves = 0, 0

    def _step(self, squares):
        with self.lock:
            self.square = (self.square + squares) % 64

    @tool(examples=[[3], [5]])
    def move(self, squares):
        with self.lock:
            self._step(squares)
            self.moves += 1

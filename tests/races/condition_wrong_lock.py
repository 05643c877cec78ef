"""Two conditions made without a lock have one each, so putting and taking do not exclude."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "loaves"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.not_full, self.not_empty = threading.Condition(), threading.Condition()
        self.loaves = 5

    @tool(examples=[[]])
    def bake(self):
        with self.not_full:
            if baked := self.not_full.wait_for(lambda: self.loaves < 10, timeout=0):
                self.loaves += 1
        with self.not_empty:
            self.not_empty.notify()
        return baked

    @tool(examples=[[]])
    def eat(self):
        with self.not_empty:
            if eaten := self.not_empty.wait_for(lambda: self.loaves > 0, timeout=0):
                self.loaves -= 1
        with self.not_full:
            self.not_full.notify()
        return eaten


class Mended(ThreadSafeAdapter):
    """Both conditions are made with the same lock."""

    def setup(self):
        lock = threading.Lock()
        self.not_full, self.not_empty = threading.Condition(lock), threading.Condition(lock)
        self.loaves = 5

    @tool(examples=[[]])
    def bake(self):
        with self.not_full:
            if baked := self.not_full.wait_for(lambda: self.loaves < 10, timeout=0):
                self.loaves += 1
                self.not_empty.notify()
        return baked

    @tool(examples=[[]])
    def eat(self):
        with self.not_empty:
            if eaten := self.not_empty.wait_for(lambda: self.loaves > 0, timeout=0):
                self.loaves -= 1
                self.not_full.notify()
        return eaten

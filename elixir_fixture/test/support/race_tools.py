"""Tools with and without a race, for the tests of the check of thread safety."""

import threading

from bridge import ThreadSafeAdapter, tool


class Racy(ThreadSafeAdapter):
    def setup(self):
        self.total = 0
        self.together = threading.Barrier(16)

    @tool
    def add(self, number):
        self.together.wait(20)
        self.total += number


class Clean(Racy):
    @tool
    def add(self, number):
        self.together.wait(20)
        with self.acquire_lock():
            self.total += number

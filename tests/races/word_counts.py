"""`get` and assignment of an item are atomic each, but a count made of both loses words."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "tally"


class Broken(ThreadSafeAdapter):
    def __init__(self):
        self.tally = {}

    @tool(examples=[["a rose is a rose"]])
    def count(self, text):
        for word in text.split():
            self.tally[word] = self.tally.get(word, 0) + 1

    @tool(examples=[["rose"]])
    def how_many(self, word):
        return self.tally.get(word, 0)


class Mended(ThreadSafeAdapter):
    """Counting and asking both take the lock."""

    def __init__(self):
        self.lock = threading.Lock()
        self.tally = {}

    @tool(examples=[["a rose is a rose"]])
    def count(self, text):
        for word in text.split():
            with self.lock:
                self.tally[word] = self.tally.get(word, 0) + 1

    @tool(examples=[["rose"]])
    def how_many(self, word):
        with self.lock:
            return self.tally.get(word, 0)

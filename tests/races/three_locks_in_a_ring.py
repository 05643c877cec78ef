"""Three calls take two of three locks each, in a ring: all three may wait for the next."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "in the same order"
DEADLOCKS = True
SOURCE = "https://github.com/hyperledger-archives/sawtooth-core/pull/1896"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.blocks, self.stores, self.counts = (threading.Lock() for _ in range(3))
        self.n = 0

    @tool(examples=[[]])
    def put(self):
        with self.blocks, self.stores:
            pass

    @tool(examples=[[]])
    def persist(self):
        with self.stores, self.counts:
            pass

    @tool(examples=[[]])
    def release(self):
        with self.counts, self.blocks:
            pass


class Mended(ThreadSafeAdapter):
    """There is one order of all three, and everybody keeps to it."""

    def setup(self):
        self.blocks, self.stores, self.counts = (threading.Lock() for _ in range(3))
        self.n = 0

    @tool(examples=[[]])
    def put(self):
        with self.blocks, self.stores:
            pass

    @tool(examples=[[]])
    def persist(self):
        with self.stores, self.counts:
            pass

    @tool(examples=[[]])
    def release(self):
        with self.blocks, self.counts:
            pass

"""`json.dumps` walks through the live dict while its items are moved."""

import json

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"
SOURCE = "https://github.com/RobTand/prismaquant/issues/460"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stock = {"shop": 5, "store": 5}

    @tool(examples=[[1], [2]])
    def move(self, count):
        with self.acquire_lock():
            self.stock["shop"] -= count
            self.stock["store"] += count

    @tool(examples=[[]])
    def look(self):
        return json.dumps(self.stock)


class Mended(ThreadSafeAdapter):
    """What is dumped is held still by the lock."""

    def setup(self):
        self.stock = {"shop": 5, "store": 5}

    @tool(examples=[[1], [2]])
    def move(self, count):
        with self.acquire_lock():
            self.stock["shop"] -= count
            self.stock["store"] += count

    @tool(examples=[[]])
    def look(self):
        with self.acquire_lock():
            return json.dumps(self.stock)

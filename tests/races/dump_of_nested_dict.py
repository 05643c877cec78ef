"""The dict that is dumped is inside of another that belongs to the call: it is no less shared."""

import json

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"
SOURCE = "https://github.com/BerriAI/litellm/pull/28345"


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
        return json.dumps({"at": 1, "goods": [self.stock]})


class Mended(ThreadSafeAdapter):
    """The lock is held until the text is there."""

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
            return json.dumps({"at": 1, "goods": [self.stock]})

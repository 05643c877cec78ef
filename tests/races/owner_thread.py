"""One thread owns the shelf and does all the writing, but the tool reads it while it writes."""

import queue
import threading
from concurrent.futures import Future

from bridge import ThreadSafeAdapter, tool

EXPECTED = "shelf"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.shelf = {"jam": 1000, "tea": 1000}
        self.orders = queue.SimpleQueue()
        self.owner = threading.Thread(target=self._own, daemon=True)
        self.owner.start()

    def _own(self):
        while (item := self.orders.get()) is not None:
            self.shelf[item] -= 1

    @tool(examples=[["jam"], ["tea"]])
    def take(self, item):
        self.orders.put(item)
        return self.shelf[item]

    def close(self):
        self.orders.put(None)
        self.owner.join()


class Mended(ThreadSafeAdapter):
    """Its owner alone reads and writes it, and answers each order with a future."""

    def setup(self):
        self.shelf = {"jam": 1000, "tea": 1000}
        self.orders = queue.SimpleQueue()
        self.owner = threading.Thread(target=self._own, daemon=True)
        self.owner.start()

    def _own(self):
        while (order := self.orders.get()) is not None:
            item, reply = order
            self.shelf[item] -= 1
            reply.set_result(self.shelf[item])

    @tool(examples=[["jam"], ["tea"]])
    def take(self, item):
        reply = Future()
        self.orders.put((item, reply))
        return reply.result()

    def close(self):
        self.orders.put(None)
        self.owner.join()

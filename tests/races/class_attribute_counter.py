"""A class attribute is shared by every thread, and `+=` on it reads first and writes later."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "served"


class Broken(ThreadSafeAdapter):
    served = 0

    @tool(examples=[["tea"]])
    def serve(self, drink):
        type(self).served += 1
        return f"{drink} no. {self.served}"


class Mended(ThreadSafeAdapter):
    """A lock that also belongs to the class guards the attribute."""

    lock = threading.Lock()
    served = 0

    @tool(examples=[["tea"]])
    def serve(self, drink):
        with self.lock:
            type(self).served += 1
            return f"{drink} no. {self.served}"

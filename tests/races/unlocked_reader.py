"""Writers lock, the reader does not: it may see the new total with the old count."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "total"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.total, self.count = 20.0, 1

    @tool(examples=[[19.5], [21.0]])
    def measure(self, degrees):
        with self.lock:
            self.total, self.count = self.total + degrees, self.count + 1

    @tool(examples=[[]])
    def mean(self):
        return self.total / self.count


class Mended(ThreadSafeAdapter):
    """The reader takes the same lock as the writers."""

    def setup(self):
        self.lock = threading.Lock()
        self.total, self.count = 20.0, 1

    @tool(examples=[[19.5], [21.0]])
    def measure(self, degrees):
        with self.lock:
            self.total, self.count = self.total + degrees, self.count + 1

    @tool(examples=[[]])
    def mean(self):
        with self.lock:
            return self.total / self.count

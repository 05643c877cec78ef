"""The window is cut after each value, and a call between sees four values or sums up a cut list."""

from collections import deque

from bridge import ThreadSafeAdapter, tool

EXPECTED = "latest"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.latest = [0.0, 0.0, 0.0]

    @tool(examples=[[1.0], [2.0]])
    def add(self, value):
        self.latest.append(value)
        del self.latest[0]

    @tool(examples=[[]])
    def mean(self):
        return sum(self.latest) / len(self.latest)


class Mended(ThreadSafeAdapter):
    """A deque with `maxlen` appends and drops in one step, and is copied under the same lock."""

    def setup(self):
        self.latest = deque([0.0, 0.0, 0.0], maxlen=3)

    @tool(examples=[[1.0], [2.0]])
    def add(self, value):
        with self.acquire_lock():
            self.latest.append(value)

    @tool(examples=[[]])
    def mean(self):
        with self.acquire_lock():  # a free-threaded Python copies a deque item by item
            latest = list(self.latest)
        return sum(latest) / len(latest)

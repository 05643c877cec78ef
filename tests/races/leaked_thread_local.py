"""Each worker fills a buffer of its own, but a list of them all lets one empty those of others."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "pending"


class Buffer:
    def __init__(self):
        self.pending = []


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.buffers = []

    @tool(examples=[["cpu", 0.5], ["ram", 0.7]])
    def report(self, name, value):
        buffer = self.get_thread_local("buffer")
        if buffer is None:
            buffer = Buffer()
            self.set_thread_local("buffer", buffer)
            self.buffers.append(buffer)
        buffer.pending = [*buffer.pending, (name, value)]

    @tool(examples=[[]])
    def flush(self):
        flushed = 0
        for buffer in list(self.buffers):
            flushed += len(buffer.pending)
            buffer.pending = []
        return flushed


class Mended(ThreadSafeAdapter):
    """A worker's buffer stays its own, and full ones are handed over by an atomic append."""

    def setup(self):
        self.full = []

    @tool(examples=[["cpu", 0.5], ["ram", 0.7]])
    def report(self, name, value):
        pending = [*self.get_thread_local("pending", ()), (name, value)]
        if len(pending) == 2:
            self.full.append(tuple(pending))
            pending = []
        self.set_thread_local("pending", pending)

    @tool(examples=[[]])
    def flush(self):
        flushed = 0
        while True:
            try:
                flushed += len(self.full.pop())
            except IndexError:
                return flushed

"""`flush` takes the list away, and a call that already held it appends to what is being sent."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "pending"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.pending = []

    @tool(examples=[["click"], ["scroll"]])
    def record(self, event):
        pending = self.pending
        pending.append(event)

    @tool(examples=[[]])
    def flush(self):
        pending, self.pending = self.pending, []
        pending.sort()
        return ",".join(pending)


class Mended(ThreadSafeAdapter):
    """Appending and taking away are locked; then the list is the call's own, and needs no lock."""

    def setup(self):
        self.pending = []

    @tool(examples=[["click"], ["scroll"]])
    def record(self, event):
        with self.acquire_lock():
            self.pending.append(event)

    @tool(examples=[[]])
    def flush(self):
        with self.acquire_lock():
            pending, self.pending = self.pending, []
        pending.sort()
        return ",".join(pending)

"""Each tool is serial for itself, but the two of them may run at once and share a field."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "height"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.height = 0

    @tool(serial=True, examples=[[1]])
    def raise_lift(self, floors):
        self.height += floors
        return self.height

    @tool(serial=True, examples=[[1]])
    def lower_lift(self, floors):
        self.height -= floors
        return self.height


class Mended(ThreadSafeAdapter):
    """A lock excludes also the other tool."""

    def setup(self):
        self.height = 0

    @tool(serial=True, examples=[[1]])
    def raise_lift(self, floors):
        with self.acquire_lock():
            self.height += floors
            return self.height

    @tool(serial=True, examples=[[1]])
    def lower_lift(self, floors):
        with self.acquire_lock():
            self.height -= floors
            return self.height

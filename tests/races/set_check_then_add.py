"""Two deliveries of one message both find its number new, and it is handled twice."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "handled"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.handled = set()

    @tool(examples=[[1], [2], [3]])
    def handle(self, number):
        if number in self.handled:
            return "seen before"
        self.handled.add(number)
        return "new"


class Mended(ThreadSafeAdapter):
    """Membership is tested and taken under one lock."""

    def setup(self):
        self.handled = set()

    @tool(examples=[[1], [2], [3]])
    def handle(self, number):
        with self.acquire_lock():
            if number in self.handled:
                return "seen before"
            self.handled.add(number)
        return "new"

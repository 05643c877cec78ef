"""A stream walks through the live list for as long as its reader takes, while others change it."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "messages"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.messages = ["welcome", "hello"]

    @tool(examples=[["hi"]])
    def post(self, message):
        with self.acquire_lock():
            self.messages.insert(0, message)
            del self.messages[3:]

    @tool(examples=[[]])
    def history(self):
        yield from self.messages


class Mended(ThreadSafeAdapter):
    """The stream copies under the lock and lets it go before the first item."""

    def setup(self):
        self.messages = ["welcome", "hello"]

    @tool(examples=[["hi"]])
    def post(self, message):
        with self.acquire_lock():
            self.messages.insert(0, message)
            del self.messages[3:]

    @tool(examples=[[]])
    def history(self):
        with self.acquire_lock():
            messages = tuple(self.messages)
        yield from messages

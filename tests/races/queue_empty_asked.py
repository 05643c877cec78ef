"""The queue was not empty when it was asked; another thread got the last item: `queue.Empty`."""

import queue

from bridge import ThreadSafeAdapter, tool

EXPECTED = "mails"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.mails = queue.Queue()
        self.mails.put("welcome")

    @tool(examples=[[]])
    def fetch(self):
        if not self.mails.empty():
            return self.mails.get_nowait()
        return None


class Mended(ThreadSafeAdapter):
    """`get_nowait` is simply called, and says itself when the queue is empty."""

    def setup(self):
        self.mails = queue.Queue()
        self.mails.put("welcome")

    @tool(examples=[[]])
    def fetch(self):
        try:
            return self.mails.get_nowait()
        except queue.Empty:
            return None

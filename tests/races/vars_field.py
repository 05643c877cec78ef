"""`vars(self)` is the instance itself seen as a dict: counting in it is counting in attributes."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "sent"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.sent = self.failed = 0

    @tool(examples=[["sent"], ["failed"]])
    def log_mail(self, outcome):
        vars(self)[outcome] += 1
        return self.sent + self.failed


class Mended(ThreadSafeAdapter):
    """Every use of the counters is under the adapter's lock."""

    def setup(self):
        self.sent = self.failed = 0

    @tool(examples=[["sent"], ["failed"]])
    def log_mail(self, outcome):
        with self.acquire_lock():
            vars(self)[outcome] += 1
            return self.sent + self.failed

"""Reconfiguring removes all sinks and adds one: two calls end with two."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "sinks"
SOURCE = "https://github.com/OpenAdaptAI/OpenAdapt/pull/366"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.sinks = ["console"]

    @tool(examples=[["file"]])
    def reconfigure(self, sink):
        if self.sinks:
            del self.sinks[:]
        self.sinks.append(sink)


class Mended(ThreadSafeAdapter):
    """Both steps are under one lock."""

    def setup(self):
        self.sinks = ["console"]

    @tool(examples=[["file"]])
    def reconfigure(self, sink):
        with self.acquire_lock():
            if self.sinks:
                del self.sinks[:]
            self.sinks.append(sink)

"""Two calls find that the handler is missing, both add it, and every line is logged twice."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "handlers"
SOURCE = "https://github.com/felixbur/nkululeko/pull/394"


class Log:
    def __init__(self):
        self.handlers = []


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.log = Log()

    @tool(examples=[["a.log"]])
    def configure(self, path):
        if path not in self.log.handlers:
            self.log.handlers.append(path)


class Mended(ThreadSafeAdapter):
    """Looking and adding are one step under the lock."""

    def setup(self):
        self.log = Log()

    @tool(examples=[["a.log"]])
    def configure(self, path):
        with self.acquire_lock():
            if path not in self.log.handlers:
                self.log.handlers.append(path)

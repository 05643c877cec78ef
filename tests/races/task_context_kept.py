"""The context of one task is still there when the worker runs another."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "local.context"
GRADE = "leak"
SOURCE = "https://github.com/celery/celery/issues/1976"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.local = threading.local()

    @tool(examples=[[1], [2]])
    def run(self, task):
        if task > 1:
            self.local.context = task
        return len(str(getattr(self.local, "context", 0)))


class Mended(ThreadSafeAdapter):
    """Each call writes the context before it reads it."""

    def setup(self):
        self.local = threading.local()

    @tool(examples=[[1], [2]])
    def run(self, task):
        self.local.context = task if task > 1 else 0
        return len(str(getattr(self.local, "context", 0)))

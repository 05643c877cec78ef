"""Two first calls find no handler at the logger, both add one, and every line comes twice."""

import logging

from bridge import ThreadSafeAdapter, tool

EXPECTED = "handlers"
SOURCE = "https://github.com/pallets/werkzeug/pull/3258"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.log = logging.Logger("orders")

    @tool(examples=[["sold"]])
    def note(self, text):
        if not self.log.handlers:
            self.log.addHandler(logging.NullHandler())
        self.log.info(text)


class Mended(ThreadSafeAdapter):
    """Looking and adding are one step under the lock; writing a line needs none."""

    def setup(self):
        self.log = logging.Logger("orders")

    @tool(examples=[["sold"]])
    def note(self, text):
        with self.acquire_lock():
            if not self.log.handlers:
                self.log.addHandler(logging.NullHandler())
        self.log.info(text)

"""A handler is added by whoever comes first, or before all calls."""

import logging

from bridge import ThreadSafeAdapter, tool

FOUND = "handlers"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.log = logging.Logger("of the adapter")
        self.handlers = []

    @tool(examples=[["hello"]])
    def say(self, text: str) -> None:
        if not self.handlers:
            handler = logging.NullHandler()
            self.log.addHandler(handler)
            self.handlers.append(handler)
        self.log.info("%s", text)


class Right(ThreadSafeAdapter):
    def setup(self):
        self.log = logging.Logger("of the adapter")
        self.log.addHandler(logging.NullHandler())

    @tool(examples=[["hello"]])
    def say(self, text: str) -> None:
        self.log.info("%s", text)

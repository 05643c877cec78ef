"""A call leaves its user in thread-local storage, and the next call on the worker acts for that user."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "local.user"
GRADE = "leak"
SOURCE = "https://github.com/rorodata/firefly/issues/70"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.local = threading.local()

    @tool(examples=[["ann"], ["bob"]])
    def login(self, name):
        self.local.user = name

    @tool(examples=[[]])
    def whoami(self):
        return bool(getattr(self.local, "user", None)) or True


class Mended(ThreadSafeAdapter):
    """What belongs to a call is deleted at its end."""

    def setup(self):
        self.local = threading.local()

    @tool(examples=[["ann"], ["bob"]])
    def login(self, name):
        self.local.user = name
        del self.local.user

    @tool(examples=[[]])
    def whoami(self):
        return bool(getattr(self.local, "user", None)) or True

"""The user of a call is kept on the adapter, where the next call overwrites it."""

from contextvars import ContextVar

from bridge import ThreadSafeAdapter, tool

EXPECTED = "user"

current_user = ContextVar("current_user")


class Broken(ThreadSafeAdapter):
    @tool(examples=[["ann"], ["bob"]])
    def greet(self, user):
        self.user = user
        return self._text()

    def _text(self):
        return f"Hello {self.user}"


class Mended(ThreadSafeAdapter):
    """A `ContextVar` has its own value in every call."""

    @tool(examples=[["ann"], ["bob"]])
    def greet(self, user):
        token = current_user.set(user)
        try:
            return self._text()
        finally:
            current_user.reset(token)

    def _text(self):
        return f"Hello {current_user.get()}"

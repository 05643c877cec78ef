"""The dict of sessions never changes, but two calls of one user change the same session."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "pages"


class Session:
    def __init__(self):
        self.pages = 0


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.sessions = {"ann": Session(), "bob": Session()}

    @tool(examples=[["ann"], ["bob"]])
    def visit(self, user):
        session = self.sessions[user]
        session.pages += 1
        return session.pages


class Mended(ThreadSafeAdapter):
    """The adapter's lock is held while a session changes."""

    def setup(self):
        self.sessions = {"ann": Session(), "bob": Session()}

    @tool(examples=[["ann"], ["bob"]])
    def visit(self, user):
        session = self.sessions[user]
        with self.acquire_lock():
            session.pages += 1
            return session.pages

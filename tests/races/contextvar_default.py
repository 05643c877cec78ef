"""Each call has its own value of a `ContextVar`, but the default is one object for all of them."""

from contextvars import ContextVar

from bridge import ThreadSafeAdapter, tool

EXPECTED = "notes"

shared_notes = ContextVar("shared_notes", default={})  # noqa: B039
own_notes = ContextVar("own_notes")


class Broken(ThreadSafeAdapter):
    @tool(examples=[["ann"], ["bob"]])
    def sign(self, name):
        notes = shared_notes.get()
        notes["signed by"] = name
        return notes["signed by"]


class Mended(ThreadSafeAdapter):
    """There is no default: the call sets a dict of its own."""

    @tool(examples=[["ann"], ["bob"]])
    def sign(self, name):
        token = own_notes.set({})
        notes = own_notes.get()
        notes["signed by"] = name
        own_notes.reset(token)
        return notes["signed by"]

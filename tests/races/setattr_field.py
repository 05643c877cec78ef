"""`getattr` and `setattr` with a computed name are a read and a write like any other."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "likes"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.likes = self.dislikes = 0

    @tool(examples=[["likes"], ["dislikes"]])
    def react(self, kind):
        setattr(self, kind, getattr(self, kind) + 1)
        return getattr(self, kind)


class Mended(ThreadSafeAdapter):
    """Both run under the adapter's lock."""

    def setup(self):
        self.likes = self.dislikes = 0

    @tool(examples=[["likes"], ["dislikes"]])
    def react(self, kind):
        with self.acquire_lock():
            setattr(self, kind, getattr(self, kind) + 1)
            return getattr(self, kind)

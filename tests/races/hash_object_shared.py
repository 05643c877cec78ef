"""Every call feeds the one hash object, so a digest depends on what others have hashed."""

import hashlib

from bridge import ThreadSafeAdapter, tool

EXPECTED = "salted"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.salted = hashlib.sha256(b"salt")

    @tool(examples=[["secret"], ["hidden"]])
    def sign(self, text):
        self.salted.update(text.encode())
        return self.salted.hexdigest()


class Mended(ThreadSafeAdapter):
    """A call works on a copy; the original is never changed."""

    def setup(self):
        self.salted = hashlib.sha256(b"salt")

    @tool(examples=[["secret"], ["hidden"]])
    def sign(self, text):
        own = self.salted.copy()
        own.update(text.encode())
        return own.hexdigest()

"""All calls read members of an archive through one file object, and each moves it."""

import io

from bridge import ThreadSafeAdapter, tool

EXPECTED = "data"
SOURCE = "https://github.com/python/cpython/issues/86535"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.data = io.BytesIO(b"headbody")

    @tool(examples=[[0, "head"], [4, "body"]])
    def member(self, offset, name):
        self.data.seek(offset)
        return self.data.read(4) == name.encode()


class Mended(ThreadSafeAdapter):
    """Each call opens what it reads for itself."""

    def setup(self):
        self.data = b"headbody"

    @tool(examples=[[0, "head"], [4, "body"]])
    def member(self, offset, name):
        data = io.BytesIO(self.data)
        data.seek(offset)
        return data.read(4) == name.encode()

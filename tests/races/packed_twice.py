"""Two calls find that a member is missing in the archive, and both write it."""

import io
import zipfile

from bridge import ThreadSafeAdapter, tool

EXPECTED = "archive"
SOURCE = "https://github.com/zarr-developers/zarr-python/issues/194"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.archive = zipfile.ZipFile(io.BytesIO(), "w")

    def close(self):
        self.archive.close()

    @tool(examples=[["a.txt"], ["b.txt"]])
    def pack(self, name):
        if name not in self.archive.namelist():
            self.archive.writestr(name, name)


class Mended(ThreadSafeAdapter):
    """Looking and writing are one step under the lock."""

    def setup(self):
        self.archive = zipfile.ZipFile(io.BytesIO(), "w")

    def close(self):
        self.archive.close()

    @tool(examples=[["a.txt"], ["b.txt"]])
    def pack(self, name):
        with self.acquire_lock():
            if name not in self.archive.namelist():
                self.archive.writestr(name, name)

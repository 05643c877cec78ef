"""All members of a tar archive are read through one file, and each reader moves it."""

import io
import tarfile

from bridge import ThreadSafeAdapter, tool

EXPECTED = "archive"
SOURCE = "https://github.com/python/cpython/issues/67837"


def packed():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("north", "south"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return data.getvalue()


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.archive = tarfile.open(fileobj=io.BytesIO(packed()))

    @tool(examples=[["north"], ["south"]])
    def read(self, name):
        return self.archive.extractfile(name).read().decode()


class Mended(ThreadSafeAdapter):
    """Each call opens the archive for itself."""

    def setup(self):
        self.data = packed()

    @tool(examples=[["north"], ["south"]])
    def read(self, name):
        with tarfile.open(fileobj=io.BytesIO(self.data)) as archive:
            return archive.extractfile(name).read().decode()

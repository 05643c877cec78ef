"""A memory map has one position for all threads."""

import mmap

from bridge import ThreadSafeAdapter, tool

EXPECTED = "area"
SOURCE = "https://github.com/Frameio/python-frameio-client/pull/52"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.area = mmap.mmap(-1, 256)
        self.area.write(bytes(range(256)))

    def close(self):
        self.area.close()

    @tool(examples=[[16], [200]])
    def byte(self, offset):
        self.area.seek(offset)
        return self.area.read_byte()


class Mended(ThreadSafeAdapter):
    """An index needs no position."""

    def setup(self):
        self.area = mmap.mmap(-1, 256)
        self.area.write(bytes(range(256)))

    def close(self):
        self.area.close()

    @tool(examples=[[16], [200]])
    def byte(self, offset):
        return self.area[offset]

"""A `memoryview` is a window on the shared bytes, and all calls write through theirs."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "pixels"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.pixels = bytearray(8)

    @tool(examples=[[200], [50]])
    def paint(self, grey):
        window = memoryview(self.pixels)[2:6]
        window[:] = bytes([grey]) * 4
        return sum(window)


class Mended(ThreadSafeAdapter):
    """The call paints a copy of the bytes."""

    def setup(self):
        self.pixels = bytes(8)

    @tool(examples=[[200], [50]])
    def paint(self, grey):
        window = memoryview(bytearray(self.pixels))[2:6]
        window[:] = bytes([grey]) * 4
        return sum(window)

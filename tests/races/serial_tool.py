"""The tool counts without a lock and may run on several workers at once."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "volume"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.volume = 0

    @tool(examples=[[1]])
    def turn_up(self, by):
        self.volume += by
        return self.volume


class Mended(ThreadSafeAdapter):
    """`serial=True` lets one call of this tool run at a time, and no other tool uses the field."""

    def setup(self):
        self.volume = 0

    @tool(serial=True, examples=[[1]])
    def turn_up(self, by):
        self.volume += by
        return self.volume

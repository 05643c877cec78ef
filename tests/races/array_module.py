"""`+=` on an item of an `array` reads, adds and writes; two rolls of one number count once."""

from array import array

from bridge import ThreadSafeAdapter, tool

EXPECTED = "histogram"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.histogram = array("l", [0] * 7)

    @tool(examples=[[3], [6]])
    def roll(self, eyes):
        self.histogram[eyes] += 1
        return self.histogram[eyes]


class Mended(ThreadSafeAdapter):
    """The item is counted under the lock."""

    def setup(self):
        self.histogram = array("l", [0] * 7)

    @tool(examples=[[3], [6]])
    def roll(self, eyes):
        with self.acquire_lock():
            self.histogram[eyes] += 1
            return self.histogram[eyes]

"""`__slots__` moves a field out of the instance's dict, but threads share it all the same."""

from threading import Lock

from bridge import ThreadSafeAdapter, tool

EXPECTED = "reading"


class Meter:
    __slots__ = ("reading", "lock")

    def __init__(self):
        self.reading = 0.0
        self.lock = Lock()


class Broken(ThreadSafeAdapter):
    def __init__(self):
        self.meter = Meter()

    @tool(examples=[[1.5]])
    def consume(self, kwh):
        meter = self.meter
        meter.reading = meter.reading + kwh
        return meter.reading


class Mended(ThreadSafeAdapter):
    """The lock in the other slot is held from the read to the write."""

    def __init__(self):
        self.meter = Meter()

    @tool(examples=[[1.5]])
    def consume(self, kwh):
        meter = self.meter
        with meter.lock:
            meter.reading = meter.reading + kwh
            return meter.reading

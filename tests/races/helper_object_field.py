"""The adapter writes nothing itself, but all calls share the helper object that it holds."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "kilometres"


class Odometer:
    def __init__(self):
        self.kilometres = 0

    def drive(self, distance):
        self.kilometres += distance
        return self.kilometres


class LockedOdometer(Odometer):
    def __init__(self):
        super().__init__()
        self._lock = threading.Lock()

    def drive(self, distance):
        with self._lock:
            return super().drive(distance)


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.odometer = Odometer()

    @tool(examples=[[5]])
    def drive(self, distance):
        return self.odometer.drive(distance)


class Mended(ThreadSafeAdapter):
    """The helper locks itself, around the method of its base class."""

    def setup(self):
        self.odometer = LockedOdometer()

    @tool(examples=[[5]])
    def drive(self, distance):
        return self.odometer.drive(distance)

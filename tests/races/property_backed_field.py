"""`self.level += by` calls a getter and then a setter; another thread's change between is lost."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "level"


class Tank:
    def __init__(self):
        self._level = 0

    @property
    def level(self):
        return self._level

    @level.setter
    def level(self, litres):
        self._level = max(0, litres)


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.tank = Tank()

    @tool(examples=[[3], [-1]])
    def pump(self, litres):
        self.tank.level += litres
        return self.tank.level


class Mended(ThreadSafeAdapter):
    """The caller of the property holds a lock over getter and setter."""

    def setup(self):
        self.tank = Tank()

    @tool(examples=[[3], [-1]])
    def pump(self, litres):
        with self.acquire_lock():
            self.tank.level += litres
            return self.tank.level

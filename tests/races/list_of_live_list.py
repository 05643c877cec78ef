"""`list()` takes all items at one moment, and that moment may be in the midst of a move."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "seats"
SOURCE = "https://github.com/Supervisor/supervisor/pull/1187"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.seats = [3, 3, 3]

    @tool(examples=[[0, 1], [2, 0]])
    def move(self, here, there):
        with self.acquire_lock():
            self.seats[here] -= 1
            self.seats[there] += 1

    @tool(examples=[[]])
    def look(self):
        return list(self.seats)


class Mended(ThreadSafeAdapter):
    """The copy is made under the lock."""

    def setup(self):
        self.seats = [3, 3, 3]

    @tool(examples=[[0, 1], [2, 0]])
    def move(self, here, there):
        with self.acquire_lock():
            self.seats[here] -= 1
            self.seats[there] += 1

    @tool(examples=[[]])
    def look(self):
        with self.acquire_lock():
            return list(self.seats)

"""`enumerate` walks through the live list, and items change before and behind it."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "seats"


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
        return [index for index, free in enumerate(self.seats) if free > 2]


class Mended(ThreadSafeAdapter):
    """The loop is under the lock."""

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
            return [index for index, free in enumerate(self.seats) if free > 2]

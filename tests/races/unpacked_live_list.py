"""Unpacking reads all items, and another call writes two of them."""

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
        left, *others = self.seats
        return left + len(others)


class Mended(ThreadSafeAdapter):
    """The items are unpacked under the lock."""

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
            left, *others = self.seats
            return left + len(others)

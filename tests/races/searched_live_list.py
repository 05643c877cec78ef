"""`in` looks at one item after another, until it has found one or none."""

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
        return 9 in self.seats


class Mended(ThreadSafeAdapter):
    """The search is under the lock."""

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
            return 9 in self.seats

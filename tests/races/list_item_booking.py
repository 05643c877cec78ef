"""Two threads find the same seat free and both write their name on it."""

from threading import Lock

from bridge import ThreadSafeAdapter, tool

EXPECTED = "seats"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.seats = [None] * 8

    @tool(examples=[[0, "ann"], [1, "bob"], [2, "cid"]])
    def book(self, seat, name):
        if self.seats[seat] is None:
            self.seats[seat] = name
        return self.seats[seat] == name


class Mended(ThreadSafeAdapter):
    """Each seat has its own lock, so that bookings of different seats need not wait."""

    def setup(self):
        self.seats = [None] * 8
        self.locks = [Lock() for _ in self.seats]

    @tool(examples=[[0, "ann"], [1, "bob"], [2, "cid"]])
    def book(self, seat, name):
        with self.locks[seat]:
            if self.seats[seat] is None:
                self.seats[seat] = name
            return self.seats[seat] == name

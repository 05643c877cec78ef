"""Getter and setter both lock, so no access is bare; yet `+=` lets the lock go between them."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "points"


class Player:
    def __init__(self):
        self.lock = threading.RLock()
        self._points = 0

    @property
    def points(self):
        with self.lock:
            return self._points

    @points.setter
    def points(self, value):
        with self.lock:
            self._points = value


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.player = Player()

    @tool(examples=[[10]])
    def score(self, points):
        self.player.points += points
        return self.player.points


class Mended(ThreadSafeAdapter):
    """The same reentrant lock is held around the whole statement."""

    def setup(self):
        self.player = Player()

    @tool(examples=[[10]])
    def score(self, points):
        with self.player.lock:
            self.player.points += points
            return self.player.points

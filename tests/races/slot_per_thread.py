"""Points are added up in one slot for each team, and several threads add to the same slot."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "points"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.points = {"red": 0, "blue": 0}

    @tool(examples=[["red"], ["blue"]])
    def score(self, team):
        self.points[team] += 1
        return team


class Mended(ThreadSafeAdapter):
    """Each slot belongs to one thread and one team, so that nobody else writes or reads it."""

    def setup(self):
        self.points = {}

    @tool(examples=[["red"], ["blue"]])
    def score(self, team):
        slot = (threading.get_ident(), team)
        self.points[slot] = self.points.get(slot, 0) + 1
        return team

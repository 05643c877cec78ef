"""The tuple cannot change, but the attribute can: a new one made from an old one undoes others."""

from typing import NamedTuple

from bridge import ThreadSafeAdapter, tool

EXPECTED = "standing"


class Standing(NamedTuple):
    wins: int = 0
    losses: int = 0


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.standing = Standing()

    @tool(examples=[[]])
    def win(self):
        self.standing = self.standing._replace(wins=self.standing.wins + 1)
        return self.standing.wins

    @tool(examples=[[]])
    def lose(self):
        self.standing = self.standing._replace(losses=self.standing.losses + 1)
        return self.standing.losses


class Mended(ThreadSafeAdapter):
    """A lock spans the reading of the old tuple and the writing of the new one."""

    def setup(self):
        self.standing = Standing()

    @tool(examples=[[]])
    def win(self):
        with self.acquire_lock():
            self.standing = self.standing._replace(wins=self.standing.wins + 1)
            return self.standing.wins

    @tool(examples=[[]])
    def lose(self):
        with self.acquire_lock():
            self.standing = self.standing._replace(losses=self.standing.losses + 1)
            return self.standing.losses

"""The copy made under the lock is shallow: its inner lists are still those that others change."""

import copy

from bridge import ThreadSafeAdapter, tool

EXPECTED = "boards"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.boards = {"todo": ["write"], "done": []}

    @tool(examples=[["todo", "test"], ["done", "plan"]])
    def add(self, board, card):
        with self.acquire_lock():
            self.boards[board].insert(0, card)

    @tool(examples=[[]])
    def cards(self):
        with self.acquire_lock():
            boards = dict(self.boards)
        return sorted(card for cards in boards.values() for card in cards)


class Mended(ThreadSafeAdapter):
    """A deep copy shares nothing with the original."""

    def setup(self):
        self.boards = {"todo": ["write"], "done": []}

    @tool(examples=[["todo", "test"], ["done", "plan"]])
    def add(self, board, card):
        with self.acquire_lock():
            self.boards[board].insert(0, card)

    @tool(examples=[[]])
    def cards(self):
        with self.acquire_lock():
            boards = copy.deepcopy(self.boards)
        return sorted(card for cards in boards.values() for card in cards)

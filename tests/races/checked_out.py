"""The lock guards the shelf, but the book stays on it while a call writes in it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "loans"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.shelf = {"Emma": {"loans": 0}, "Ulysses": {"loans": 0}}

    @tool(examples=[["Emma"], ["Ulysses"]])
    def lend(self, title):
        with self.lock:
            book = self.shelf[title]
        book["loans"] += 1
        return title


class Mended(ThreadSafeAdapter):
    """The call takes it off the shelf, has it alone, and puts it back."""

    def setup(self):
        self.lock = threading.Lock()
        self.shelf = {"Emma": {"loans": 0}, "Ulysses": {"loans": 0}}

    @tool(examples=[["Emma"], ["Ulysses"]])
    def lend(self, title):
        with self.lock:
            book = self.shelf.pop(title, None)
        if book is None:
            return "lent already"
        book["loans"] += 1
        with self.lock:
            self.shelf[title] = book
        return title

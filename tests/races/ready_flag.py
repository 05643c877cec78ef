"""The flag goes up before the table is complete, and who sees it up reads what is not there yet."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "codes"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.ready = False
        self.codes = {}

    @tool(examples=[["a"], ["z"]])
    def code(self, letter):
        if not self.ready:
            self.ready = True
            for known in "abcdefghijklmnopqrstuvwxyz":
                self.codes[known] = ord(known)
        return self.codes[letter]


class Mended(ThreadSafeAdapter):
    """The flag is an `Event`, set when the table is complete and checked again under a lock."""

    def setup(self):
        self.ready = threading.Event()
        self.codes = {}

    @tool(examples=[["a"], ["z"]])
    def code(self, letter):
        if not self.ready.is_set():
            with self.acquire_lock():
                if not self.ready.is_set():
                    for known in "abcdefghijklmnopqrstuvwxyz":
                        self.codes[known] = ord(known)
                    self.ready.set()
        return self.codes[letter]

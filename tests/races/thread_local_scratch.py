"""One scratch list is cleared and filled by all calls: a call returns the words of two texts."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "words"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.words = []

    @tool(examples=[["to be or not"], ["all the world"]])
    def shout(self, text):
        self.words.clear()
        for word in text.split():
            self.words.append(word.upper())
        return " ".join(self.words)


class Scratch(threading.local):
    def __init__(self):
        self.words = []


class Mended(ThreadSafeAdapter):
    """A subclass of `threading.local` makes one for each thread that asks."""

    def setup(self):
        self.scratch = Scratch()

    @tool(examples=[["to be or not"], ["all the world"]])
    def shout(self, text):
        words = self.scratch.words
        words.clear()
        for word in text.split():
            words.append(word.upper())
        return " ".join(words)

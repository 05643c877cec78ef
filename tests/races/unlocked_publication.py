"""The first call publishes the model and then loads it; the second finds it there, but empty."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "words"


class Dictionary:
    def __init__(self):
        self.words = {}

    def load(self):
        self.words = {"one": "eins", "two": "zwei"}


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.dictionary = None

    @tool(examples=[["one"], ["two"]])
    def translate(self, word):
        if self.dictionary is None:
            self.dictionary = Dictionary()
            self.dictionary.load()
        return self.dictionary.words[word]


class Mended(ThreadSafeAdapter):
    """It is loaded in `setup()`, before the first call, and only read from then on."""

    def setup(self):
        self.dictionary = Dictionary()
        self.dictionary.load()

    @tool(examples=[["one"], ["two"]])
    def translate(self, word):
        return self.dictionary.words[word]

"""`Counter.update` reads and writes item after item; two of them at once lose counts."""

from collections import Counter

from bridge import ThreadSafeAdapter, tool

EXPECTED = "letters"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.letters = Counter()

    @tool(examples=[["banana"], ["ananas"]])
    def learn(self, word):
        self.letters.update(word)
        return self.letters.most_common(1)[0][0]


class Mended(ThreadSafeAdapter):
    """A call counts its word in a `Counter` of its own; only adding it up is under the lock."""

    def setup(self):
        self.letters = Counter()

    @tool(examples=[["banana"], ["ananas"]])
    def learn(self, word):
        own = Counter(word)
        with self.acquire_lock():
            self.letters += own
            return self.letters.most_common(1)[0][0]

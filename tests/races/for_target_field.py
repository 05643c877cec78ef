"""The loop writes its position to an attribute, and a helper reads that of another call's loop."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "position"


class Broken(ThreadSafeAdapter):
    @tool(examples=[["to be or not to be", "be"]])
    def find(self, text, word):
        for self.position, found in enumerate(text.split()):
            if found == word:
                return self._answer(word)
        return None

    def _answer(self, word):
        return f"{word} is word {self.position}"


class Mended(ThreadSafeAdapter):
    """The position is a local variable, handed to the helper."""

    @tool(examples=[["to be or not to be", "be"]])
    def find(self, text, word):
        for position, found in enumerate(text.split()):
            if found == word:
                return self._answer(word, position)
        return None

    def _answer(self, word, position):
        return f"{word} is word {position}"

"""Strings are immutable, so `+=` makes a new one from the old and drops what others added."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "story"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.story = ""

    @tool(examples=[["Once upon a time."], ["There was a queue."]])
    def tell(self, sentence):
        self.story += sentence
        return len(self.story)


class Mended(ThreadSafeAdapter):
    """Sentences are appended to a list, which is atomic, and joined from a copy."""

    def setup(self):
        self.story = []

    @tool(examples=[["Once upon a time."], ["There was a queue."]])
    def tell(self, sentence):
        self.story.append(sentence)
        return len("".join(self.story.copy()))

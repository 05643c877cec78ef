"""What ``lru_cache`` gives to all is changed, or only read."""

import functools

from bridge import ThreadSafeAdapter, tool

FOUND = "words_of"


@functools.lru_cache(16)
def words_of(text):
    return text.split()


@functools.lru_cache(16)
def kept_words_of(text):
    return tuple(text.split())


class Wrong(ThreadSafeAdapter):
    @tool(examples=[["b a"], ["d c"]])
    def ordered(self, text: str) -> str:
        words = words_of(text)
        words.sort()
        return " ".join(words)


class Right(ThreadSafeAdapter):
    @tool(examples=[["b a"], ["d c"]])
    def ordered(self, text: str) -> str:
        return " ".join(sorted(kept_words_of(text)))

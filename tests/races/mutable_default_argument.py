"""A default value is made once, so every call that omits the list fills the same one."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "seen"


def distinct(words, seen=[]):  # noqa: B006
    for word in words:
        if word not in seen:
            seen.append(word)
    return seen


def distinct_here(words, seen=None):
    return distinct(words, [] if seen is None else seen)


class Broken(ThreadSafeAdapter):
    @tool(examples=[["a rose is a rose"], ["to be or not to be"]])
    def vocabulary(self, text):
        return len(distinct(text.split()))


class Mended(ThreadSafeAdapter):
    """The default is None, and the list is made in the call."""

    @tool(examples=[["a rose is a rose"], ["to be or not to be"]])
    def vocabulary(self, text):
        return len(distinct_here(text.split()))

"""The parts are read inside of the block, where the workers may still be writing them."""

from concurrent.futures import ThreadPoolExecutor, wait

from bridge import ThreadSafeAdapter, tool

EXPECTED = "parts"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[["thread", "pool"]]])
    def acronyms(self, words):
        parts = {}

        def work(word):
            parts[word] = word[0].upper()

        with ThreadPoolExecutor(2) as pool:
            for word in words:
                pool.submit(work, word)
            return [parts.get(word) for word in words]


class Mended(ThreadSafeAdapter):
    """`wait` returns when all are done, and hands over what they wrote."""

    @tool(examples=[[["thread", "pool"]]])
    def acronyms(self, words):
        parts = {}

        def work(word):
            parts[word] = word[0].upper()

        with ThreadPoolExecutor(2) as pool:
            wait([pool.submit(work, word) for word in words])
            return [parts.get(word) for word in words]

"""The workers of one call all add to the same variable of the function around them."""

from concurrent.futures import ThreadPoolExecutor

from bridge import ThreadSafeAdapter, tool

EXPECTED = "vowels"


def count_vowels(word):
    return sum(letter in "aeiou" for letter in word)


class Broken(ThreadSafeAdapter):
    @tool(examples=[["one shared thread pool"]])
    def analyse(self, text):
        vowels = 0

        def work(word):
            nonlocal vowels
            vowels += count_vowels(word)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, text.split()))
        return vowels


class Mended(ThreadSafeAdapter):
    """Workers return their part, and the call adds up what `map` hands over."""

    @tool(examples=[["one shared thread pool"]])
    def analyse(self, text):
        vowels = 0
        with ThreadPoolExecutor(2) as pool:
            for found in pool.map(count_vowels, text.split()):
                vowels += found
        return vowels

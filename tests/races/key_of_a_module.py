"""A library has its key as a global of its module: a call asks with the key of another caller."""

import calendar

from bridge import ThreadSafeAdapter, tool

EXPECTED = "calendar.api_key"
SOURCE = "https://github.com/langchain-ai/langchain/issues/5195"


class Broken(ThreadSafeAdapter):
    @tool(examples=[["ann's"], ["bob's"]])
    def ask(self, key):
        calendar.api_key = key
        return len(calendar.api_key)


class Mended(ThreadSafeAdapter):
    """The key is an argument."""

    @tool(examples=[["ann's"], ["bob's"]])
    def ask(self, key):
        return len(key)

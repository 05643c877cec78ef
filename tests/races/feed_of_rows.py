"""One reader of a table gives its rows to all calls; it is Python code, with a place of its own."""

import csv
import io

from bridge import ThreadSafeAdapter, tool

EXPECTED = "Broken.feed"
SOURCE = "https://github.com/Blazemeter/apiritif/pull/30"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.feed = csv.DictReader(io.StringIO("name,size\n" + "ann,2\n" * 1000))

    @tool(examples=[[]])
    def row(self):
        return next(self.feed)


class Mended(ThreadSafeAdapter):
    """The reader goes on under the lock."""

    def setup(self):
        self.feed = csv.DictReader(io.StringIO("name,size\n" + "ann,2\n" * 1000))

    @tool(examples=[[]])
    def row(self):
        with self.acquire_lock():
            return next(self.feed)

"""Two calls find that a folder is not in the search path, and both insert it."""

import sys

from bridge import ThreadSafeAdapter, tool

EXPECTED = "sys.path"
SOURCE = "https://github.com/pypyr/pypyr/issues/218"


class Broken(ThreadSafeAdapter):
    @tool(examples=[["/nowhere/plugins"]])
    def load(self, folder):
        if folder not in sys.path:
            sys.path.insert(0, folder)
        return folder


class Mended(ThreadSafeAdapter):
    """The folder is inserted in `setup()`, before the first call."""

    def setup(self):
        if "/nowhere/plugins" not in sys.path:
            sys.path.insert(0, "/nowhere/plugins")

    @tool(examples=[["/nowhere/plugins"]])
    def load(self, folder):
        return folder

"""The options of a library are one set for the process, also those that are set for a moment."""

import pandas

from bridge import ThreadSafeAdapter, tool

EXPECTED = "option_context"
REQUIRES = "pandas"
SOURCE = "https://github.com/pandas-dev/pandas/pull/65222"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[2], [4]])
    def show(self, rows):
        with pandas.option_context("display.max_rows", rows):
            return len(str(pandas.DataFrame({"n": range(9)}))) > 0


class Mended(ThreadSafeAdapter):
    """The call says how many rows it wants."""

    @tool(examples=[[2], [4]])
    def show(self, rows):
        return len(pandas.DataFrame({"n": range(9)}).to_string(max_rows=rows)) > 0

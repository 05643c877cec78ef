"""The settings of plots are one set for the process, also those that are set for a moment."""

import matplotlib
from matplotlib.text import Text

from bridge import ThreadSafeAdapter, tool

EXPECTED = "rc_context"
REQUIRES = "matplotlib"
SOURCE = "https://github.com/Ultraplot/UltraPlot/pull/383"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[8], [14]])
    def heading(self, size):
        with matplotlib.rc_context({"font.size": size}):
            return Text(text="sales").get_text()


class Mended(ThreadSafeAdapter):
    """What is to look otherwise gets it as an argument."""

    @tool(examples=[[8], [14]])
    def heading(self, size):
        return Text(text="sales", fontsize=size).get_text()

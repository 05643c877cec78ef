"""A logger belongs to the process: a call that wants more lines changes what others write."""

import logging

from bridge import ThreadSafeAdapter, tool

EXPECTED = "levels of loggers"
SOURCE = "https://github.com/skypilot-org/skypilot/pull/10357"


class Broken(ThreadSafeAdapter):
    @tool(examples=[["DEBUG"], ["INFO"]])
    def run(self, level):
        logging.getLogger("jobs").setLevel(level)
        return level


class Mended(ThreadSafeAdapter):
    """What the call wants to say at another level, it says at that level."""

    @tool(examples=[["DEBUG"], ["INFO"]])
    def run(self, level):
        logging.getLogger("jobs").log(logging.getLevelName(level), "runs")
        return level

"""A column is computed and written back, or each call works on a copy."""

import pandas as pd

from bridge import ThreadSafeAdapter, tool

FOUND = "frame"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.frame = pd.DataFrame({"n": [1, 2, 3]})

    @tool(examples=[[1], [2]])
    def add(self, by: int) -> None:
        self.frame.loc[self.frame["n"] > 1, "n"] += by


class Right(ThreadSafeAdapter):
    def setup(self):
        self.frame = pd.DataFrame({"n": [1, 2, 3]})

    @tool(examples=[[1], [2]])
    def add(self, by: int) -> int:
        own = self.frame.assign(n=self.frame["n"] + by)
        return int(own.loc[own["n"] > 1, "n"].sum())

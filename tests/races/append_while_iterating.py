"""One call walks through the live list while another appends to it: what it counts is no moment."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "events"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.events = [3, 1, 2]

    @tool(examples=[[4], [5]])
    def add(self, event):
        self.events.append(event)

    @tool(examples=[[2]])
    def count_from(self, least):
        return sum(1 for event in self.events if event >= least)


class Mended(ThreadSafeAdapter):
    """Appending is atomic, and so is the copy through which the reader walks; no lock needed."""

    def setup(self):
        self.events = [3, 1, 2]

    @tool(examples=[[4], [5]])
    def add(self, event):
        self.events.append(event)

    @tool(examples=[[2]])
    def count_from(self, least):
        return sum(1 for event in list(self.events) if event >= least)

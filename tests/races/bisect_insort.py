"""The place is found before the insertion; if another thread inserts between, it is wrong."""

import bisect

from bridge import ThreadSafeAdapter, tool

EXPECTED = "meetings"


def hour(meeting):
    return meeting["hour"]


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.meetings = []

    @tool(examples=[[9, "ann"], [14, "bob"], [11, "cid"]])
    def arrange(self, at, guest):
        bisect.insort(self.meetings, {"hour": at, "with": guest}, key=hour)
        return len(self.meetings)


class Mended(ThreadSafeAdapter):
    """The search and the insertion are under the lock."""

    def setup(self):
        self.meetings = []

    @tool(examples=[[9, "ann"], [14, "bob"], [11, "cid"]])
    def arrange(self, at, guest):
        with self.acquire_lock():
            bisect.insort(self.meetings, {"hour": at, "with": guest}, key=hour)
            return len(self.meetings)

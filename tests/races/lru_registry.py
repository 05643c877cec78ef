"""`move_to_end` fails when another thread has just evicted the key that was found."""

from collections import OrderedDict

from bridge import ThreadSafeAdapter, tool

EXPECTED = "recent"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.recent = OrderedDict()

    @tool(examples=[["a.txt"], ["b.txt"], ["c.txt"]])
    def open_file(self, name):
        if name in self.recent:
            self.recent.move_to_end(name)
        else:
            self.recent[name] = len(name)
            if len(self.recent) > 2:
                self.recent.popitem(last=False)
        return len(self.recent)


class Mended(ThreadSafeAdapter):
    """The whole bookkeeping of one use is under the lock."""

    def setup(self):
        self.recent = OrderedDict()

    @tool(examples=[["a.txt"], ["b.txt"], ["c.txt"]])
    def open_file(self, name):
        with self.acquire_lock():
            if name in self.recent:
                self.recent.move_to_end(name)
            else:
                self.recent[name] = len(name)
                if len(self.recent) > 2:
                    self.recent.popitem(last=False)
            return len(self.recent)

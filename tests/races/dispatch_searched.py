"""The table of implementations is searched for parents while another call adds one."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "table"
SOURCE = "https://github.com/coady/multimethod/issues/73"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.table = {"object": "any"}

    @tool(examples=[["int"], ["str"]])
    def dispatch(self, kind):
        if kind not in self.table:
            parents = [known for known in self.table if known == "object"]
            self.table[kind] = self.table[parents[0]]
        return self.table[kind]


class Mended(ThreadSafeAdapter):
    """Search and addition are under one lock."""

    def setup(self):
        self.table = {"object": "any"}

    @tool(examples=[["int"], ["str"]])
    def dispatch(self, kind):
        with self.acquire_lock():
            if kind not in self.table:
                parents = [known for known in self.table if known == "object"]
                self.table[kind] = self.table[parents[0]]
            return self.table[kind]

"""A pattern takes a list apart in the midst of a move."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stock = [5, 5]

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        match self.stock:
            case [here, there]:
                return here + there


class Mended(ThreadSafeAdapter):
    """The list is taken apart under the lock."""

    def setup(self):
        self.stock = [5, 5]

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        with self.acquire_lock():
            match self.stock:
                case [here, there]:
                    return here + there

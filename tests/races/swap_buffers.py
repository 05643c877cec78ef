"""While one thread swaps the two buffers, another appends to the one that was just handed out."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "back"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.front, self.back = [], []

    @tool(examples=[[1], [2]])
    def draw(self, shape):
        self.back.append(shape)

    @tool(examples=[[]])
    def show(self):
        self.front, self.back = self.back, self.front
        shown = len(self.front)
        self.front.clear()
        return shown


class Mended(ThreadSafeAdapter):
    """Drawing and showing take turns under the adapter's lock."""

    def setup(self):
        self.front, self.back = [], []

    @tool(examples=[[1], [2]])
    def draw(self, shape):
        with self.acquire_lock():
            self.back.append(shape)

    @tool(examples=[[]])
    def show(self):
        with self.acquire_lock():
            self.front, self.back = self.back, self.front
            shown = len(self.front)
            self.front.clear()
        return shown

"""`thread_safe_method` counts calls and takes no lock: the method is as unsafe as before."""

from bridge import ThreadSafeAdapter, thread_safe_method, tool

EXPECTED = "distance"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.distance = 0

    @tool(examples=[[400]])
    @thread_safe_method
    def swim(self, metres):
        self.distance += metres
        return self.distance


class Mended(ThreadSafeAdapter):
    """The method takes the adapter's lock itself; the decorator only tracks it."""

    def setup(self):
        self.distance = 0

    @tool(examples=[[400]])
    @thread_safe_method
    def swim(self, metres):
        with self.acquire_lock():
            self.distance += metres
            return self.distance

"""Two threads that resume one generator at once get `ValueError: generator already executing`."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "fibonacci"


def fibonacci_numbers():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.fibonacci = fibonacci_numbers()

    @tool(examples=[[]])
    def next_number(self):
        return next(self.fibonacci)


class Mended(ThreadSafeAdapter):
    """A lock lets one thread resume it at a time."""

    def setup(self):
        self.lock = threading.Lock()
        self.fibonacci = fibonacci_numbers()

    @tool(examples=[[]])
    def next_number(self):
        with self.lock:
            return next(self.fibonacci)

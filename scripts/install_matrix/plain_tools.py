"""The adapter that an installation has to serve."""

from bridge import ThreadSafeAdapter, tool


class PlainTools(ThreadSafeAdapter):
    @tool
    def add(self, a: int, b: int) -> int:
        return a + b

    @tool
    def array(self):
        import numpy

        return numpy.arange(3, dtype=numpy.int16)

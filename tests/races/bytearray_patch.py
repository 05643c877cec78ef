"""A frame is patched in two steps, and a reader between them sees data with a stale checksum."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "frame"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.frame = bytearray(5)

    @tool(examples=[[[1, 2, 3, 4]], [[9, 8, 7, 6]]])
    def patch(self, data):
        self.frame[0:4] = bytes(data)
        self.frame[4] = sum(data) % 256

    @tool(examples=[[]])
    def valid(self):
        return sum(self.frame[:4]) % 256 == self.frame[4]


class Mended(ThreadSafeAdapter):
    """Patching and checking hold one lock."""

    def setup(self):
        self.lock = threading.Lock()
        self.frame = bytearray(5)

    @tool(examples=[[[1, 2, 3, 4]], [[9, 8, 7, 6]]])
    def patch(self, data):
        with self.lock:
            self.frame[0:4] = bytes(data)
            self.frame[4] = sum(data) % 256

    @tool(examples=[[]])
    def valid(self):
        with self.lock:
            return sum(self.frame[:4]) % 256 == self.frame[4]

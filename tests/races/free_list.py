"""A buffer goes back to the free list before the call is done with it, and another gets it."""

from collections import deque

from bridge import ThreadSafeAdapter, tool

EXPECTED = "buffer"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.free = deque([bytearray(16)])

    @tool(examples=[["alpha"], ["beta"]])
    def encode(self, text):
        try:
            buffer = self.free.pop()
        except IndexError:
            buffer = bytearray(16)
        self.free.append(buffer)
        buffer[: len(text)] = text.upper().encode()
        return buffer[: len(text)].decode()


class Mended(ThreadSafeAdapter):
    """It goes back at the end; `pop` and `append` of a deque are atomic hand-overs."""

    def setup(self):
        self.free = deque([bytearray(16)])

    @tool(examples=[["alpha"], ["beta"]])
    def encode(self, text):
        try:
            buffer = self.free.pop()
        except IndexError:
            buffer = bytearray(16)
        buffer[: len(text)] = text.upper().encode()
        answer = buffer[: len(text)].decode()
        self.free.append(buffer)
        return answer

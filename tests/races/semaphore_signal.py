"""The call looks into the box without waiting for the sign that something is in it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "box"


class Broken(ThreadSafeAdapter):
    @tool(examples=[["hello"], ["bridge"]])
    def reverse(self, text):
        box, filled = {"content": None}, threading.Semaphore(0)

        def fill():
            box["content"] = text[::-1]
            filled.release()

        threading.Thread(target=fill).start()
        return box["content"]


class Mended(ThreadSafeAdapter):
    """A semaphore that begins at zero is a signal: `acquire` waits for the other's `release`."""

    @tool(examples=[["hello"], ["bridge"]])
    def reverse(self, text):
        box, filled = {"content": None}, threading.Semaphore(0)

        def fill():
            box["content"] = text[::-1]
            filled.release()

        threading.Thread(target=fill).start()
        filled.acquire()
        return box["content"]

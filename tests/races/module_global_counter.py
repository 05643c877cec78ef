"""`global` makes a variable of the whole process; counting in it from several calls loses some."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "visitors"

visitors = 0
guests = 0
guests_lock = threading.Lock()


class Broken(ThreadSafeAdapter):
    @tool(examples=[["Ada"]])
    def welcome(self, name):
        global visitors
        visitors += 1
        return f"{name} is visitor {visitors}"


class Mended(ThreadSafeAdapter):
    """A lock of the module stands beside the variable and is held around it."""

    @tool(examples=[["Ada"]])
    def welcome(self, name):
        global guests
        with guests_lock:
            guests += 1
            number = guests
        return f"{name} is visitor {number}"

"""The decorator makes a lock for each method, but the methods write to the same attribute."""

import functools
import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "celsius"


def synchronized_alone(method):
    lock = threading.Lock()

    @functools.wraps(method)
    def locked(self, *args):
        with lock:
            return method(self, *args)

    return locked


def synchronized(method):
    @functools.wraps(method)
    def locked(self, *args):
        with self.lock:
            return method(self, *args)

    return locked


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.celsius = 20

    @tool(examples=[[1]])
    @synchronized_alone
    def warm(self, degrees):
        self.celsius += degrees

    @tool(examples=[[1]])
    @synchronized_alone
    def cool(self, degrees):
        self.celsius -= degrees


class Mended(ThreadSafeAdapter):
    """The decorator takes the lock of the object whose method it wraps."""

    def setup(self):
        self.lock = threading.Lock()
        self.celsius = 20

    @tool(examples=[[1]])
    @synchronized
    def warm(self, degrees):
        self.celsius += degrees

    @tool(examples=[[1]])
    @synchronized
    def cool(self, degrees):
        self.celsius -= degrees

"""The guard takes a new lock on each entry, so nobody ever has to wait for anybody."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "jobs"


class FreshGuard:
    def __init__(self):
        self._held = threading.local()

    def __enter__(self):
        self._held.lock = threading.Lock()
        self._held.lock.acquire()

    def __exit__(self, *_):
        self._held.lock.release()


class Guard:
    def __init__(self):
        self._lock = threading.Lock()

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.guard = FreshGuard()
        self.jobs = 0

    @tool(examples=[[]])
    def start(self):
        with self.guard:
            self.jobs += 1


class Mended(ThreadSafeAdapter):
    """The guard has one lock, held from `__enter__` to `__exit__`."""

    def setup(self):
        self.guard = Guard()
        self.jobs = 0

    @tool(examples=[[]])
    def start(self):
        with self.guard:
            self.jobs += 1

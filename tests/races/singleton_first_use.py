"""Two first calls both find no instance and make two, each with a part of the state."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "instance"


class Directory:
    instance = None

    def __init__(self):
        self.names = {}

    @classmethod
    def get(cls):
        if cls.instance is None:
            cls.instance = cls()
        return cls.instance


class LockedDirectory(Directory):
    instance = None
    lock = threading.Lock()

    @classmethod
    def get(cls):
        with cls.lock:
            return super().get()


class Broken(ThreadSafeAdapter):
    @tool(examples=[["ann", 1], ["bob", 2]])
    def register(self, name, number):
        return Directory.get().names.setdefault(name, number)


class Mended(ThreadSafeAdapter):
    """The instance is looked for and made under a lock of the class."""

    @tool(examples=[["ann", 1], ["bob", 2]])
    def register(self, name, number):
        return LockedDirectory.get().names.setdefault(name, number)

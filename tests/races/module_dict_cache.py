"""A dict of the module is shared like an attribute: two misses of one key make two connections."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "opened"

opened = {}
guarded = {}
guard = threading.Lock()


class Host:
    def __init__(self, name):
        self.name = name


def connect(name):
    if name not in opened:
        opened[name] = Host(name)
    return opened[name]


def connect_once(name):
    with guard:
        if name not in guarded:
            guarded[name] = Host(name)
        return guarded[name]


class Broken(ThreadSafeAdapter):
    @tool(examples=[["alpha"], ["beta"]])
    def ping(self, host):
        return f"{connect(host).name} is there"


class Mended(ThreadSafeAdapter):
    """The function that fills the dict takes a lock of the module."""

    @tool(examples=[["alpha"], ["beta"]])
    def ping(self, host):
        return f"{connect_once(host).name} is there"

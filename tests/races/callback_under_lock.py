"""A callback runs under the lock of who calls it, and takes its own; from the other side it is reversed."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "in the same order"
DEADLOCKS = True
SOURCE = "https://github.com/amoffat/sh/issues/564"


class Feed:
    def __init__(self):
        self.lock = threading.Lock()
        self.listeners = []

    def publish(self):
        with self.lock:
            for listener in self.listeners:
                listener()

    def subscribers(self):
        with self.lock:
            return len(self.listeners)


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.feed, self.state = Feed(), threading.Lock()
        self.seen = 0
        self.feed.listeners.append(self.note)

    def note(self):
        with self.state:
            self.seen += 1

    @tool(examples=[[]])
    def publish(self):
        self.feed.publish()

    @tool(examples=[[]])
    def status(self):
        with self.state:
            return self.feed.subscribers()


class Mended(ThreadSafeAdapter):
    """Nobody calls the feed with a lock of its own held."""

    def setup(self):
        self.feed, self.state = Feed(), threading.Lock()
        self.seen = 0
        self.feed.listeners.append(self.note)

    def note(self):
        with self.state:
            self.seen += 1

    @tool(examples=[[]])
    def publish(self):
        self.feed.publish()

    @tool(examples=[[]])
    def status(self):
        return self.feed.subscribers()

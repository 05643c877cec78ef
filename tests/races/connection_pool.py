"""Connections are dealt out in turn, even while the next one is still in use by another call."""

import itertools
import queue

from bridge import ThreadSafeAdapter, tool

EXPECTED = "sent"


class Connection:
    def __init__(self):
        self.sent = []

    def request(self, text):
        self.sent = [text]
        self.sent.append("end")
        return " ".join(self.sent)


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.connections = [Connection(), Connection()]
        self.turns = itertools.count()

    @tool(examples=[["select"], ["insert"]])
    def execute(self, statement):
        connection = self.connections[next(self.turns) % 2]
        return connection.request(statement)


class Mended(ThreadSafeAdapter):
    """A queue holds the idle ones: a call takes one out and has it alone until it puts it back."""

    def setup(self):
        self.connections = queue.Queue()
        for _ in range(2):
            self.connections.put(Connection())

    @tool(examples=[["select"], ["insert"]])
    def execute(self, statement):
        connection = self.connections.get()
        try:
            return connection.request(statement)
        finally:
            self.connections.put(connection)

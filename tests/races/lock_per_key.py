"""Each document has a lock, but two first calls make two for the same document."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "guards"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.guards = {}
        self.versions = {"a": 1, "b": 1}

    @tool(examples=[["a"], ["b"]])
    def save(self, document):
        if document not in self.guards:
            self.guards[document] = threading.Lock()
        with self.guards[document]:
            self.versions[document] += 1
            return self.versions[document]


class Mended(ThreadSafeAdapter):
    """`dict.setdefault` is atomic: of all the locks made, everybody gets the same one."""

    def setup(self):
        self.guards = {}
        self.versions = {"a": 1, "b": 1}

    @tool(examples=[["a"], ["b"]])
    def save(self, document):
        with self.guards.setdefault(document, threading.Lock()):
            self.versions[document] += 1
            return self.versions[document]

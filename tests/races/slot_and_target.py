"""One call takes a slot and then the target, another the target and then a slot."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "Broken.slot"
DEADLOCKS = True
SOURCE = "https://github.com/texttheater/produce/issues/35"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.slot = threading.Semaphore(1)
        self.target = threading.Lock()

    @tool(examples=[[]])
    def build(self):
        with self.slot, self.target:
            return "built"

    @tool(examples=[[]])
    def clean(self):
        with self.target, self.slot:
            return "cleaned"


class Mended(ThreadSafeAdapter):
    """Both take the slot first."""

    def setup(self):
        self.slot = threading.Semaphore(1)
        self.target = threading.Lock()

    @tool(examples=[[]])
    def build(self):
        with self.slot, self.target:
            return "built"

    @tool(examples=[[]])
    def clean(self):
        with self.slot, self.target:
            return "cleaned"

"""A heap is put in order by comparisons, and in the midst of them another thread pushes its own."""

import heapq
import threading
from dataclasses import dataclass

from bridge import ThreadSafeAdapter, tool

EXPECTED = "tasks"


@dataclass(order=True)
class Task:
    priority: int
    name: str


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.tasks = []

    @tool(examples=[[3, "sweep"], [1, "cook"], [2, "wash"]])
    def plan(self, priority, name):
        heapq.heappush(self.tasks, Task(priority, name))

    @tool(examples=[[]])
    def begin(self):
        return heapq.heappop(self.tasks).name if self.tasks else None


class Mended(ThreadSafeAdapter):
    """Pushing and popping hold the same lock."""

    def setup(self):
        self.lock = threading.Lock()
        self.tasks = []

    @tool(examples=[[3, "sweep"], [1, "cook"], [2, "wash"]])
    def plan(self, priority, name):
        with self.lock:
            heapq.heappush(self.tasks, Task(priority, name))

    @tool(examples=[[]])
    def begin(self):
        with self.lock:
            return heapq.heappop(self.tasks).name if self.tasks else None

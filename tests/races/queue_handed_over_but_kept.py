"""A job is changed after it was put in the queue, when the one who got it may work on it."""

import queue

from bridge import ThreadSafeAdapter, tool

EXPECTED = "state"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.jobs = queue.Queue()

    @tool(examples=[["print"], ["scan"]])
    def submit(self, name):
        job = {"name": name}
        self.jobs.put(job)
        job["state"] = "waiting"

    @tool(examples=[[]])
    def work(self):
        try:
            job = self.jobs.get_nowait()
        except queue.Empty:
            return None
        job["state"] = "done"
        return job


class Mended(ThreadSafeAdapter):
    """The job is complete when it is put, and belongs to the one who gets it."""

    def setup(self):
        self.jobs = queue.Queue()

    @tool(examples=[["print"], ["scan"]])
    def submit(self, name):
        job = {"name": name}
        job["state"] = "waiting"
        self.jobs.put(job)

    @tool(examples=[[]])
    def work(self):
        try:
            job = self.jobs.get_nowait()
        except queue.Empty:
            return None
        job["state"] = "done"
        return job

"""The results are read as soon as the jobs are in the queue, not when they are done."""

import queue
import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "results"


def start_workers(jobs, results):
    def work():
        while (number := jobs.get()) is not None:
            results[number] = number * number
            jobs.task_done()

    for _ in range(2):
        threading.Thread(target=work).start()


class Broken(ThreadSafeAdapter):
    @tool(examples=[[[1, 2, 3]]])
    def squares(self, numbers):
        jobs, results = queue.Queue(), {}
        start_workers(jobs, results)
        for job in [*numbers, None, None]:
            jobs.put(job)
        return [results.get(number) for number in numbers]


class Mended(ThreadSafeAdapter):
    """`Queue.join` waits until the workers have called `task_done` for every job."""

    @tool(examples=[[[1, 2, 3]]])
    def squares(self, numbers):
        jobs, results = queue.Queue(), {}
        start_workers(jobs, results)
        for job in numbers:
            jobs.put(job)
        jobs.join()
        for _ in range(2):
            jobs.put(None)
        return [results.get(number) for number in numbers]

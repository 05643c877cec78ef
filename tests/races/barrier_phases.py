"""Each worker fills its cell and then reads its neighbour's, which may not be filled yet."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "cells"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[[1, 4, 9]]])
    def gradient(self, heights):
        cells, slopes = [0] * len(heights), [0] * len(heights)

        def work(i):
            cells[i] = heights[i] * 10
            slopes[i] = cells[i] - cells[i - 1]

        workers = [threading.Thread(target=work, args=(i,)) for i in range(len(heights))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return slopes


class Mended(ThreadSafeAdapter):
    """A barrier parts the phases: nobody reads before all have written."""

    @tool(examples=[[[1, 4, 9]]])
    def gradient(self, heights):
        cells, slopes = [0] * len(heights), [0] * len(heights)
        filled = threading.Barrier(len(heights))

        def work(i):
            cells[i] = heights[i] * 10
            filled.wait()
            slopes[i] = cells[i] - cells[i - 1]

        workers = [threading.Thread(target=work, args=(i,)) for i in range(len(heights))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return slopes

"""Each worker compares with all the others, of which some have not scaled their values yet."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "scaled"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[[3, 1, 2]]])
    def ranks(self, values):
        scaled, ranks = [0] * len(values), [0] * len(values)

        def work(i):
            scaled[i] = values[i] * 10
            ranks[i] = sum(value < scaled[i] for value in scaled)

        workers = [threading.Thread(target=work, args=(i,)) for i in range(len(values))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return ranks


class Mended(ThreadSafeAdapter):
    """A barrier parts the phases."""

    @tool(examples=[[[3, 1, 2]]])
    def ranks(self, values):
        scaled, ranks = [0] * len(values), [0] * len(values)
        scaled_all = threading.Barrier(len(values))

        def work(i):
            scaled[i] = values[i] * 10
            scaled_all.wait()
            ranks[i] = sum(value < scaled[i] for value in scaled)

        workers = [threading.Thread(target=work, args=(i,)) for i in range(len(values))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return ranks

"""The results of a first phase are added up before the pool has made them all."""

from concurrent.futures import ThreadPoolExecutor

from bridge import ThreadSafeAdapter, tool

EXPECTED = "parts"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[3]])
    def squares(self, n):
        parts = [0] * n

        def work(i):
            parts[i] = i * i

        with ThreadPoolExecutor(2) as pool:
            for i in range(n):
                pool.submit(work, i)
            total = sum(parts)
        return total >= 0


class Mended(ThreadSafeAdapter):
    """Each result is waited for before they are added up."""

    @tool(examples=[[3]])
    def squares(self, n):
        parts = [0] * n

        def work(i):
            parts[i] = i * i

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(work, i) for i in range(n)]:
                future.result()
            total = sum(parts)
        return total >= 0

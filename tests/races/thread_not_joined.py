"""The answer is read while the thread that computes it may still run."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "answer"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[10], [20]])
    def factorial(self, number):
        answer = {"value": None}

        def work():
            product = 1
            for factor in range(1, number + 1):
                product *= factor
            answer["value"] = product

        worker = threading.Thread(target=work)
        worker.start()
        return answer["value"]


class Mended(ThreadSafeAdapter):
    """`join` waits for the end of the thread, and so for all that it wrote."""

    @tool(examples=[[10], [20]])
    def factorial(self, number):
        answer = {"value": None}

        def work():
            product = 1
            for factor in range(1, number + 1):
                product *= factor
            answer["value"] = product

        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        return answer["value"]

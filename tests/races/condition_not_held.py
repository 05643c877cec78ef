"""The cook adds dishes under the condition, but the waiter takes them without holding it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "dishes"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[["soup", "fish"]]])
    def serve(self, order):
        ready, dishes, served = threading.Condition(), [], []

        def cook():
            for dish in order:
                with ready:
                    dishes.append(dish)
                    ready.notify()

        cook_thread = threading.Thread(target=cook)
        cook_thread.start()
        while len(served) < len(order) and (dishes or cook_thread.is_alive()):
            if dishes:
                served.append(dishes[0])
                del dishes[0]
        cook_thread.join()
        return served


class Mended(ThreadSafeAdapter):
    """The waiter holds the condition, and waits in it until there is a dish."""

    @tool(examples=[[["soup", "fish"]]])
    def serve(self, order):
        ready, dishes, served = threading.Condition(), [], []

        def cook():
            for dish in order:
                with ready:
                    dishes.append(dish)
                    ready.notify()

        cook_thread = threading.Thread(target=cook)
        cook_thread.start()
        while len(served) < len(order):
            with ready:
                ready.wait_for(lambda: dishes)
                served.append(dishes[0])
                del dishes[0]
        cook_thread.join()
        return served

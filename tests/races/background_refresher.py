"""A thread of `setup()` refreshes the rates one by one; a call sees some old and some new."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "rates"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.rates = {"EUR": 1.0, "USD": 1.1}
        self.stopped = threading.Event()
        self.refresher = threading.Thread(target=self._refresh, daemon=True)
        self.refresher.start()

    def _refresh(self):
        while True:
            for currency in ("EUR", "USD"):
                self.rates[currency] *= 1.01
            if self.stopped.wait(0.001):
                return

    @tool(examples=[[100]])
    def to_dollars(self, euros):
        return euros * self.rates["USD"] / self.rates["EUR"]

    def close(self):
        self.stopped.set()
        self.refresher.join()


class Mended(ThreadSafeAdapter):
    """The refresher and the calls use the rates under one lock."""

    def setup(self):
        self.lock = threading.Lock()
        self.rates = {"EUR": 1.0, "USD": 1.1}
        self.stopped = threading.Event()
        self.refresher = threading.Thread(target=self._refresh, daemon=True)
        self.refresher.start()

    def _refresh(self):
        while True:
            with self.lock:
                for currency in ("EUR", "USD"):
                    self.rates[currency] *= 1.01
            if self.stopped.wait(0.001):
                return

    @tool(examples=[[100]])
    def to_dollars(self, euros):
        with self.lock:
            return euros * self.rates["USD"] / self.rates["EUR"]

    def close(self):
        self.stopped.set()
        self.refresher.join()

"""A transfer locks the account that it takes from, and writes to the other one without its lock."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "savings"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.current_lock, self.savings_lock = threading.Lock(), threading.Lock()
        self.current, self.savings = 500, 500

    @tool(examples=[[10]])
    def save(self, amount):
        with self.current_lock:
            self.current -= amount
            self.savings += amount

    @tool(examples=[[5]])
    def add_interest(self, percent):
        with self.savings_lock:
            self.savings += self.savings * percent // 100


class Mended(ThreadSafeAdapter):
    """Whoever touches both accounts holds both locks."""

    def setup(self):
        self.current_lock, self.savings_lock = threading.Lock(), threading.Lock()
        self.current, self.savings = 500, 500

    @tool(examples=[[10]])
    def save(self, amount):
        with self.current_lock, self.savings_lock:
            self.current -= amount
            self.savings += amount

    @tool(examples=[[5]])
    def add_interest(self, percent):
        with self.savings_lock:
            self.savings += self.savings * percent // 100

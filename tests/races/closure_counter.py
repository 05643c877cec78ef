"""A closure hides its variable from the class, not from other threads: two get the same number."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "issued"


def invoice_numbers():
    issued = 0

    def next_number():
        nonlocal issued
        issued += 1
        return issued

    return next_number


def locked_invoice_numbers():
    issued = 0
    lock = threading.Lock()

    def next_number():
        nonlocal issued
        with lock:
            issued += 1
            return issued

    return next_number


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.next_number = invoice_numbers()

    @tool(examples=[["ACME"]])
    def invoice(self, customer):
        return f"{customer}-{self.next_number()}"


class Mended(ThreadSafeAdapter):
    """The closure holds a lock of its own next to the variable."""

    def setup(self):
        self.next_number = locked_invoice_numbers()

    @tool(examples=[["ACME"]])
    def invoice(self, customer):
        return f"{customer}-{self.next_number()}"

"""The lock guards the choice of a printer, but the one chosen stays there for others to choose."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "paper"


class Printer:
    def __init__(self):
        self.paper = 500

    def print(self, pages):
        self.paper -= pages
        return pages


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.printers = [Printer(), Printer()]

    @tool(examples=[[1], [2]])
    def print_out(self, pages):
        with self.lock:
            printer = self.printers[-1]
        return printer.print(pages)


class Mended(ThreadSafeAdapter):
    """Who takes a printer off the list has it alone, without the lock, until it is put back."""

    def setup(self):
        self.lock = threading.Lock()
        self.printers = [Printer(), Printer()]

    @tool(examples=[[1], [2]])
    def print_out(self, pages):
        with self.lock:
            printer = self.printers.pop() if self.printers else Printer()
        printed = printer.print(pages)
        with self.lock:
            self.printers.append(printer)
        return printed

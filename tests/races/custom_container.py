"""A class with `__getitem__` and `__setitem__` makes `+=` on an item two calls, with a gap."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "amounts"


class Inventory:
    def __init__(self):
        self.amounts = {}

    def __getitem__(self, item):
        return self.amounts.get(item, 0)

    def __setitem__(self, item, amount):
        self.amounts[item] = amount


class LockedInventory(Inventory):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def add(self, item, amount):
        with self.lock:
            self[item] += amount
            return self[item]


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.inventory = Inventory()

    @tool(examples=[["nut", 2], ["bolt", 1]])
    def deliver(self, item, amount):
        self.inventory[item] += amount
        return self.inventory[item]


class Mended(ThreadSafeAdapter):
    """The container offers the whole step as one method, under its lock."""

    def setup(self):
        self.inventory = LockedInventory()

    @tool(examples=[["nut", 2], ["bolt", 1]])
    def deliver(self, item, amount):
        return self.inventory.add(item, amount)

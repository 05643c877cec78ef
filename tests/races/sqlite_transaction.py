"""A transaction belongs to the connection: one thread's commit ends the half-done one of another."""

import sqlite3
import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "sqlite3"
GRADE = "documented"


def open_bank():
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("create table accounts (name primary key, amount)")
    connection.execute("insert into accounts values ('ann', 100), ('bob', 100)")
    connection.commit()
    return connection


MOVE = "update accounts set amount = amount + ? where name = ?"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.bank = open_bank()

    @tool(examples=[["ann", "bob", 5], ["bob", "ann", 3]])
    def transfer(self, source, target, amount):
        with self.bank:
            self.bank.execute(MOVE, (-amount, source))
            self.bank.execute(MOVE, (amount, target))

    def close(self):
        self.bank.close()


class Mended(ThreadSafeAdapter):
    """The shared connection has a lock, held from the first statement to the commit."""

    def setup(self):
        self.lock = threading.Lock()
        self.bank = open_bank()

    @tool(examples=[["ann", "bob", 5], ["bob", "ann", 3]])
    def transfer(self, source, target, amount):
        with self.lock, self.bank:
            self.bank.execute(MOVE, (-amount, source))
            self.bank.execute(MOVE, (amount, target))

    def close(self):
        self.bank.close()

"""All calls compute in the one table of one connection, and average the numbers of others."""

import sqlite3
import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "sqlite3"
GRADE = "documented"


def connect():
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("create table numbers (value)")
    return database


def average(database, numbers):
    database.execute("delete from numbers")
    database.executemany("insert into numbers values (?)", ((number,) for number in numbers))
    return database.execute("select avg(value) from numbers").fetchone()[0]


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.database = connect()

    @tool(examples=[[[1, 2, 3]], [[10, 20]]])
    def mean(self, numbers):
        return average(self.database, numbers)

    def close(self):
        self.database.close()


class Mended(ThreadSafeAdapter):
    """Each worker has its own connection; the list of them serves only to close them at the end."""

    def setup(self):
        self.local = threading.local()
        self.opened = []

    @tool(examples=[[[1, 2, 3]], [[10, 20]]])
    def mean(self, numbers):
        if not hasattr(self.local, "database"):
            self.local.database = connect()
            self.opened.append(self.local.database)
        return average(self.local.database, numbers)

    def close(self):
        for database in self.opened:
            database.close()

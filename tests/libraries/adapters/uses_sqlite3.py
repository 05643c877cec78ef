"""One connection for all calls, or one for each worker."""

import os
import sqlite3
import tempfile

from bridge import ThreadSafeAdapter, tool

FOUND = "database"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.database.execute("create table parts (name text, price integer)")

    @tool(examples=[["nut", 2], ["bolt", 3]])
    def add(self, name: str, price: int) -> None:
        self.database.execute("insert into parts values (?, ?)", [name, price])
        self.database.commit()

    def close(self):
        self.database.close()


class Right(ThreadSafeAdapter):
    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "parts.db")
        database = sqlite3.connect(self.path)
        database.execute("create table parts (name text, price integer)")
        database.commit()
        database.close()

    @tool(examples=[["nut", 2], ["bolt", 3]])
    def add(self, name: str, price: int) -> None:
        database = sqlite3.connect(self.path, timeout=30)
        with database:
            database.execute("insert into parts values (?, ?)", [name, price])
        database.close()

    def close(self):
        self.folder.cleanup()

"""The last row id belongs to the connection: on a shared one it may be that of another's insert."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from bridge import ThreadSafeAdapter, tool

EXPECTED = "sqlite3"
GRADE = "documented"


def connect(path):
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("pragma synchronous = off")
    connection.execute("create table if not exists notes (text)")
    return connection


def insert(connection, text):
    connection.execute("insert into notes values (?)", (text,))
    return connection.execute("select last_insert_rowid()").fetchone()[0]


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.connection = connect(":memory:")

    @tool(examples=[["one"], ["two"]])
    def note(self, text):
        return insert(self.connection, text)

    def close(self):
        self.connection.close()


class Mended(ThreadSafeAdapter):
    """Every call opens a connection of its own to the file."""

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "notes.db")
        connect(self.path).close()

    @tool(examples=[["one"], ["two"]])
    def note(self, text):
        with closing(connect(self.path)) as connection:
            return insert(connection, text)

    def close(self):
        self.folder.cleanup()

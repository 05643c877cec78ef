"""The working directory is one for the process: relative paths of other calls lead elsewhere."""

import os
import tempfile
from pathlib import Path

from bridge import ThreadSafeAdapter, tool

EXPECTED = "os.chdir"
GRADE = "documented"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        Path(self.folder.name, "note.txt").write_text("hello")

    @tool(examples=[["note.txt"]])
    def read(self, name):
        before = os.getcwd()
        os.chdir(self.folder.name)
        try:
            return Path(name).read_text()
        finally:
            os.chdir(before)

    def close(self):
        self.folder.cleanup()


class Mended(ThreadSafeAdapter):
    """The path is put together, and nobody's directory changes."""

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        Path(self.folder.name, "note.txt").write_text("hello")

    @tool(examples=[["note.txt"]])
    def read(self, name):
        return Path(self.folder.name, name).read_text()

    def close(self):
        self.folder.cleanup()

"""An open file has one position: another thread seeks between a call's `seek` and `readline`."""

import tempfile

from bridge import ThreadSafeAdapter, tool

EXPECTED = "poem"

LINES = ["Two roads diverged\n", "in a yellow wood\n"]


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.poem = tempfile.TemporaryFile("w+")
        self.poem.writelines(LINES)

    @tool(examples=[[0], [19]])
    def line_at(self, offset):
        self.poem.seek(offset)
        return self.poem.readline().strip()

    def close(self):
        self.poem.close()


class Mended(ThreadSafeAdapter):
    """Seeking and reading are one step under the lock."""

    def setup(self):
        self.poem = tempfile.TemporaryFile("w+")
        self.poem.writelines(LINES)

    @tool(examples=[[0], [19]])
    def line_at(self, offset):
        with self.acquire_lock():
            self.poem.seek(offset)
            return self.poem.readline().strip()

    def close(self):
        self.poem.close()

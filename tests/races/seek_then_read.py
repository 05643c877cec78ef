"""`seek` and `read` are two steps: another call moves the position between them."""

import tempfile

from bridge import ThreadSafeAdapter, tool

EXPECTED = "file"
SOURCE = "https://github.com/appliedsec/pygeoip/pull/13"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.file = tempfile.TemporaryFile(buffering=0)
        self.file.write(bytes(range(200)))

    def close(self):
        self.file.close()

    @tool(examples=[[7], [150]])
    def byte(self, offset):
        self.file.seek(offset)
        return self.file.read(1)[0]


class Mended(ThreadSafeAdapter):
    """Both steps are under one lock."""

    def setup(self):
        self.file = tempfile.TemporaryFile(buffering=0)
        self.file.write(bytes(range(200)))

    def close(self):
        self.file.close()

    @tool(examples=[[7], [150]])
    def byte(self, offset):
        with self.acquire_lock():
            self.file.seek(offset)
            return self.file.read(1)[0]

"""The reader fetches the configuration twice: host and port may come from two different ones."""

from typing import NamedTuple

from bridge import ThreadSafeAdapter, tool

EXPECTED = "server"


class Server(NamedTuple):
    host: str = "localhost"
    port: int = 80


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.server = Server()

    @tool(examples=[["alpha", 8001], ["beta", 8002]])
    def configure(self, host, port):
        self.server = Server(host, port)

    @tool(examples=[[]])
    def address(self):
        return f"{self.server.host}:{self.server.port}"


class Mended(ThreadSafeAdapter):
    """The reader takes the immutable tuple once, under the lock, and then works with its own."""

    def setup(self):
        self.server = Server()

    @tool(examples=[["alpha", 8001], ["beta", 8002]])
    def configure(self, host, port):
        server = Server(host, port)
        with self.acquire_lock():
            self.server = server

    @tool(examples=[[]])
    def address(self):
        with self.acquire_lock():
            server = self.server
        return f"{server.host}:{server.port}"

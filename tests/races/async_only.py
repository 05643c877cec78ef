"""Two ordinary tools on several workers change one number."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "guests"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.guests = 0

    @tool(examples=[[2]])
    def enter(self, number):
        self.guests += number
        return self.guests

    @tool(examples=[[1]])
    def leave(self, number):
        self.guests -= number
        return self.guests


class Mended(ThreadSafeAdapter):
    """As async tools both run on the one event loop, and nothing awaits between read and write."""

    def setup(self):
        self.guests = 0

    @tool(examples=[[2]])
    async def enter(self, number):
        self.guests += number
        return self.guests

    @tool(examples=[[1]])
    async def leave(self, number):
        self.guests -= number
        return self.guests

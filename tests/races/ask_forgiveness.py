"""After the failed look another thread fills in the key, and its object is replaced by a second."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "channels"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.channels = {}

    @tool(examples=[["news"], ["sport"]])
    def channel(self, name):
        try:
            return self.channels[name]
        except KeyError:
            self.channels[name] = {"name": name}
            return self.channels[name]


class Mended(ThreadSafeAdapter):
    """What is made after the failed look is kept only if nobody was faster: `setdefault`."""

    def setup(self):
        self.channels = {}

    @tool(examples=[["news"], ["sport"]])
    def channel(self, name):
        try:
            return self.channels[name]
        except KeyError:
            return self.channels.setdefault(name, {"name": name})

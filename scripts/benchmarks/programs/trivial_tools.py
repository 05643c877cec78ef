"""The least adapter, for the time to start: it imports nothing but the bridge."""

from bridge import ThreadSafeAdapter, tool


class Trivial(ThreadSafeAdapter):
    """One tool."""

    @tool
    def echo(self, value):
        """What came."""
        return value

"""One peer on a pair of pipes."""

from .transport import StdioTransport

__all__ = ["StdioTransport"]

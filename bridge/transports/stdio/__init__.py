"""One peer on a pair of pipes."""

from .reader import StdioReader
from .transport import StdioTransport

__all__ = ["StdioReader", "StdioTransport"]

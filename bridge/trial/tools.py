"""What is served to see whether it can be: the adapter of a trial."""

from ..tool import tool


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b

"""Adapters that come with the bridge, to try it with and to copy.

``showcase`` is imported by its name, because it needs NumPy.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import showcase as showcase

__all__ = ["showcase"]

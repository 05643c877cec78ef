"""Adapters that come with the bridge: to try it with and to copy, and for code that is no adapter.

Each is imported by its name: ``showcase`` needs NumPy, and whoever can call ``notebook`` or
``functions`` can do what this process can, so nothing serves them unless it is told to.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import functions as functions
    from . import notebook as notebook
    from . import showcase as showcase

__all__ = ["functions", "notebook", "showcase"]

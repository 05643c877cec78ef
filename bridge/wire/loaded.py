"""Classes of modules that may not be there, or not all of them yet."""

from __future__ import annotations

import sys

from ..typing_names import Any


def loaded_class(module: str, name: str) -> Any:
    """The class if its module is loaded; else ``()``, of which nothing is an instance. Any thread.

    Another thread may be in the middle of importing the module, which takes seconds for some: it is
    there then, and has not all of its names. What has no class yet has no objects either.

    Args:
        module: Its full name.
        name: Of the class.
    """
    return getattr(sys.modules.get(module), name, ())

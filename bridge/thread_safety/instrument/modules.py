"""Which modules belong to the program that is checked.

Those of the adapter's own top-level package and those below the application's directory;
libraries are none of it, and neither is the bridge.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_FOREIGN = frozenset(["site-packages", "dist-packages"])


class ProgramModules:
    """The modules of the program, and which of them were rewritten so far.

    Args:
        packages: names of top-level packages or modules.
        directory: whatever is below it belongs to the program, too; None: nothing else does.
    """

    def __init__(self, packages: Sequence[str], directory: str | None) -> None:
        self._packages = frozenset(packages)
        self._directory = None if directory is None else Path(directory).resolve()
        #: The names of those whose own code tells what it does. Asked at every call that is made.
        self.rewritten: set[str] = set()

    def belongs(self, name: str, path: str) -> bool:
        """Whether a module, of this name and in this file, is one of the program."""
        if is_bridge(name):
            return False
        if name in self._packages or name.partition(".")[0] in self._packages:
            return True
        if self._directory is None:
            return False
        file = Path(path).resolve()
        return file.is_relative_to(self._directory) and not _FOREIGN & set(file.parts)


def is_bridge(module: str) -> bool:
    """Whether a module belongs to the bridge itself. Its adapters are programs like any other."""
    return module.partition(".")[0] == "bridge" and not module.startswith("bridge.adapters.")

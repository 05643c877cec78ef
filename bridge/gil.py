"""Whether the GIL is on, and which module switched it on.

On a free-threaded Python an extension module that does not say that it works without the GIL
switches it on when it is imported, for the whole process and for good
(https://peps.python.org/pep-0703/). CPython says so in a warning, which names the module.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_enabled() -> bool:
    """Whether only one thread runs Python code at a time: always, but on free-threaded builds."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def is_free_threaded() -> bool:
    """Whether this is a build of Python that can run without the GIL."""
    return "t" in getattr(sys, "abiflags", "")


class GilWatch:
    """Notes, while it is entered, which modules switch the GIL on. For the main thread, once.

    ``modules`` holds their names: one in practice, as it cannot be switched on twice.
    """

    def __init__(self) -> None:
        self.modules: list[str] = []
        self._watches = False

    def __enter__(self) -> GilWatch:
        self._watches = not is_enabled()
        if self._watches:
            import warnings

            self._show, warnings.showwarning = warnings.showwarning, self._look  # type: ignore[assignment]
            # it is made once for each place in the code, and must come through now
            warnings.filterwarnings("always", "The global interpreter lock", RuntimeWarning)
        return self

    def __exit__(self, *_: object) -> None:
        if self._watches:
            import warnings

            warnings.showwarning = self._show
            if is_enabled() and not self.modules:
                self.modules.append("unknown")

    def _look(self, message, category, *rest) -> None:  # type: ignore[no-untyped-def]
        before, _, name = str(message).partition("enabled to load module '")
        if name and "GIL" in before:
            self.modules.append(name.partition("'")[0])
        else:
            self._show(message, category, *rest)


def describe_python(gil: GilWatch | None = None) -> dict[str, Any]:
    """The interpreter that runs here, as ``$/health`` and ``bridge doctor`` show it.

    Args:
        gil: What was watched while the adapter was imported; default: None, nothing was.

    Returns:
        ``version``, ``implementation``, ``executable``, ``free_threaded``, ``gil`` (whether it is
        on) and ``gil_enabled_by`` (the modules that switched it on).
    """
    return {
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "free_threaded": is_free_threaded(),
        "gil": is_enabled(),
        "gil_enabled_by": [] if gil is None else gil.modules,
    }

"""The platforms on which nothing is served, and what is said there. docs/platforms.md has the list.

Only the start of the programs asks: the package itself can be imported anywhere, so that tools can
be written and tested there.
"""

from __future__ import annotations

import sys


def check_platform() -> None:
    """Exit with 1 and one line on stderr where the bridge cannot run. First thing in a program."""
    if sys.platform == "win32":
        sys.exit(
            "bridge: Windows is not supported: the bridge needs the descriptors, signals and "
            "process groups of POSIX. Use Linux or macOS; on this machine, WSL or a container"
        )

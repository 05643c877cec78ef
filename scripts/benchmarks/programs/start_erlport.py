"""Starts the Python half of ErlPort on descriptors 0 and 1, as its Erlang half would.

    python start_erlport.py DIRECTORY PACKAGE

DIRECTORY holds PACKAGE: ``erlport``, or ``emqx.erlport`` as PyPI has it. The latter asks for a
function that Python 3.11 has no more.
"""

from __future__ import annotations

import importlib
import inspect
import sys


def main() -> None:
    """Serve until end of file."""
    directory, package = sys.argv[1:]
    sys.path.insert(0, directory)
    if not hasattr(inspect, "getargspec"):
        inspect.getargspec = inspect.getfullargspec  # type: ignore[attr-defined]
    importlib.import_module(f"{package}.cli").main(["--packet=4", "--use_stdio"])


if __name__ == "__main__":
    main()

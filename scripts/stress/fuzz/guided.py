"""Lets atheris search for bytes that a target does not survive. A process of its own for each.

``python -m scripts.stress.fuzz.guided TARGET [OPTIONS OF LIBFUZZER] [DIRECTORIES WITH INPUTS]``
"""

from __future__ import annotations

import sys


def main() -> None:
    """Search until libFuzzer ends the process: with 0, or something else if it has found some."""
    import atheris

    with atheris.instrument_imports(include=["bridge", "scripts.stress.fuzz.reference"]):
        from .targets import TARGETS

    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""The vectors that Python and Elixir share, and the literals in them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

VECTORS = Path(__file__).parent / "vectors"
#: The names that a literal of a vector or of the protocol's examples may use.
LITERALS = {
    "nan": math.nan,
    "inf": math.inf,
    "datetime": datetime,
    "timezone": timezone,
    "UTC": UTC,
    "np": np,
    "array": np.array,
}


def literal(text: str) -> Any:
    """The value that a literal in a vector or in the protocol's examples stands for."""
    return eval(text, dict(LITERALS))


class Vector:
    """One file of ``tests/vectors``: a MessagePack value and what it stands for.

    ``y_``: decodes to the literal ``python:`` and encodes to the same bytes, or to those of
    ``reencodes:``. ``n_``: is rejected. ``i_``: may be either, but must not crash. Lines that
    begin with ``elixir:`` are for ExUnit; ``only:`` and ``skip-encode:`` name a language.
    """

    def __init__(self, path: Path) -> None:
        lines = [line for line in path.read_text().splitlines() if line[0] != "#"]
        self.name = path.stem
        self.fields = {
            key: value.strip() for key, _, value in (line.partition(":") for line in lines)
        }
        self.data = bytes.fromhex(self.fields["bytes"])
        self.applies = self.fields.get("only", "python") == "python"
        self.encodes = self.fields.get("skip-encode") != "python"
        self.encoded = bytes.fromhex(self.fields.get("reencodes", self.fields["bytes"]))

    def __repr__(self) -> str:
        return self.name

    @property
    def value(self) -> Any:
        """What the bytes stand for."""
        return literal(self.fields["python"])


def vectors(prefix: str) -> list[Vector]:
    """The vectors whose names begin with ``prefix`` and that concern Python."""
    found = [Vector(path) for path in sorted(VECTORS.glob(f"{prefix}_*.txt"))]
    return [vector for vector in found if vector.applies]

"""``ZeroCopyRef``: an argument that stands for data which other means have brought here.

Snakepit's worker makes it of a map with ``__snakepit_zero_copy__``, from 0.7.4 on
(``priv/python/snakepit_bridge/zero_copy.py``), and the map of it again in a result.
"""

from __future__ import annotations

import importlib
from typing import Any

_MARK = "__snakepit_zero_copy__"
_FIELDS = ("kind", "device", "dtype", "shape", "owner", "ref", "copy", "bytes")


class ZeroCopyRef:
    """The same, for where Snakepit's own class cannot be imported."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload
        self.metadata = payload.get("metadata", {})
        for name in _FIELDS:
            setattr(self, name, payload.get(name))

    def to_payload(self) -> dict[str, Any]:
        """The map that it was made of."""
        return dict(self.payload)

    def __repr__(self) -> str:
        shown = " ".join(f"{name}={self.payload.get(name)}" for name in ("kind", "device", "ref"))
        return f"<ZeroCopyRef {shown}>"


def make_reference(value: Any) -> Any:
    """``value``, or the reference that it stands for, of the class that adapters know."""
    if not isinstance(value, dict) or not value.get(_MARK):
        return value
    try:
        kind = importlib.import_module("snakepit_bridge.zero_copy").ZeroCopyRef
    except Exception:  # it may lack what it needs itself
        kind = ZeroCopyRef
    return kind(value)

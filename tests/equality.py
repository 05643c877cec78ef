"""Equality as the wire has it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bridge.wire.messages import Notification, Request, Response


def deep_equal(left: Any, right: Any) -> bool:
    """Equal in type, value and order of keys; NaN equals NaN, 0.0 does not equal -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        if math.isnan(left):
            return math.isnan(right)
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, np.ndarray):
        return (
            left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes() == right.tobytes()
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(deep_equal, left, right))
    if isinstance(left, dict):
        return deep_equal(list(left.items()), list(right.items()))
    if isinstance(left, Request | Response | Notification):
        return all(deep_equal(getattr(left, name), getattr(right, name)) for name in left.__slots__)
    return bool(left == right)

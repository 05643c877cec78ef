"""A tool that writes to an array which has arrived: its error says the way out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bridge.calls.failures import describe_failure


def failure(write: Callable[[Any], object]) -> BaseException:
    values = np.frombuffer(np.arange(4.0).tobytes())
    with pytest.raises((ValueError, TypeError), match=r"read-only|WRITEABLE") as info:
        write(values)
    return info.value


@pytest.mark.parametrize(
    "write",
    [
        lambda values: values.__iadd__(1),
        lambda values: values.__setitem__(0, 1),
        lambda values: values.sort(),
        lambda values: values.fill(0),
        lambda values: np.add(values, 1, out=values),
        lambda values: np.put(values, [0], [1]),
        lambda values: values.setflags(write=True),
        lambda values: memoryview(values).__setitem__(0, 1.0),
    ],
)
def test_the_error_says_that_it_is_read_only_and_to_copy_it(write: Any) -> None:
    error = describe_failure(failure(write))
    assert "read-only" in error.message
    assert "values = values.copy()" in error.message


def test_other_errors_are_as_they_were() -> None:
    for other in (
        sqlite3.OperationalError("attempt to write a readonly database"),
        OSError(30, "Read-only file system"),
        ValueError("no model"),
    ):
        assert describe_failure(other).message == str(other)

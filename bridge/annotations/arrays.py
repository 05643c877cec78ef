"""Arguments that are arrays, by their annotation: ``numpy.ndarray``, ``NDArray[numpy.float32]``."""

from __future__ import annotations

import functools
import typing
from typing import Any

import numpy as np

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def array_maker(annotation: Any) -> Callable[[Any], Any]:
    """``make_array`` for one annotation, quick where there is nothing to do."""
    element = element_type(annotation)

    def make(value: Any) -> Any:
        if type(value) is np.ndarray and (element is None or value.dtype.type is element):
            return value
        return make_array(annotation, value)

    return make


@functools.lru_cache(256)
def element_type(annotation: Any) -> Any:
    """What the elements of an array are to be, a class of NumPy; None: whatever they are."""
    for inner in typing.get_args(annotation)[1:]:
        for element in typing.get_args(inner):
            element = typing.get_origin(element) or element  # np.floating[Any]
            if isinstance(element, type) and element is not np.generic:
                return element
    return None


def make_array(annotation: Any, value: Any) -> Any:
    """The array that an argument means: an array as it is, if its elements fit; a list becomes one.

    Raises:
        TypeError: It is neither.
        ValueError: The elements are others, and to convert them would lose what they say; or the
            lists in the list are of different lengths.
    """
    element = None if annotation is np.ndarray else element_type(annotation)
    if not isinstance(value, np.ndarray):
        if type(value) not in (list, int, float, bool):
            raise TypeError(f"Expected an array, got `{type(value).__name__}`")
        made = np.asarray(value)
        if made.dtype.kind not in "biufc":
            raise ValueError("Expected an array of numbers")
        if made.size == 0 and element is not None and not _is_abstract(element):
            return made.astype(element)
        value = made
    if element is None or issubclass(value.dtype.type, element):
        return value
    if _is_abstract(element) or not np.can_cast(value.dtype, element, "same_kind"):
        raise ValueError(f"Expected an array of {element.__name__}, got one of {value.dtype.name}")
    return value.astype(element)


def _is_abstract(element: Any) -> bool:
    try:
        np.dtype(element)
    except TypeError:
        return True
    return element in (np.number, np.integer, np.floating, np.inexact, np.complexfloating)

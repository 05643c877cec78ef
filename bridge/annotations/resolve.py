"""From annotations as they stand in the source to types. Imports ``typing``, which takes 9 ms."""

from __future__ import annotations

import typing
from typing import Any

from ..errors import shorten
from ..signature import annotations_of, layers, underlying_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Unresolved(TypeError):
    """An annotation names something that is not there at run time. The message says what."""


class Annotations:
    """Those of one function, each resolved for itself: one that cannot be spoils no other.

    Args:
        function: Any callable.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.raw = annotations_of(function)
        self._names: Mapping[str, Any] = underlying_names(function)
        self._local: dict[str, Any] = {}
        owner = None
        for layer in layers(function):
            owner = getattr(layer, "__self__", owner)
            self._local.update(_closure(layer))
        if owner is not None:
            cls = owner if isinstance(owner, type) else type(owner)
            for base in reversed(cls.__mro__):
                # classes that are defined in the adapter's own, and named there without it
                self._local.update({k: v for k, v in vars(base).items() if isinstance(v, type)})

    def resolve(self, name: str) -> Any:
        """The type that the annotation of parameter ``name`` means; ``Any`` without one.

        Raises:
            Unresolved: It is text, or has text in it, that names nothing.
        """
        if name not in self.raw:
            return Any
        raw = self.raw[name]

        def holder() -> None: ...

        holder.__annotations__ = {name: raw}
        try:
            hints = typing.get_type_hints(
                holder, dict(self._names), self._local, include_extras=True
            )
        except NameError as error:
            raise Unresolved(
                f"the annotation {shorten(raw)} cannot be read while the program runs: {error}. Where "
                "it is imported for type checkers alone (TYPE_CHECKING), import it in earnest"
            ) from None
        except RecursionError:
            raise Unresolved(
                f"the annotation {shorten(raw)} contains itself without a class between; write a "
                "dataclass or a TypedDict that does"
            ) from None
        except Exception as error:
            raise Unresolved(
                f"the annotation {shorten(raw)} cannot be read: {shorten(error, 200)}"
            ) from None
        return hints[name]


def _closure(function: Any) -> dict[str, Any]:
    """What a function that is defined in another one sees there."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            pass  # not assigned yet
    return found

"""How the annotation of one parameter is checked: by msgspec, by pydantic, or by its type alone."""

from __future__ import annotations

import typing
from typing import Any

import msgspec

from ..errors import shorten
from .forms import bare, is_array, members, of_pydantic, parts, without_aliases
from .known_types import make, needs_pydantic, unknown_types
from .mending import mend
from .plain import plain_kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ..signature import Parameter
    from .resolve import Annotations

#: What no annotation allows.
_NOTHING = object()
#: What says that a value does not fit; pydantic's is a ``ValueError``, msgspec's only of late.
FAULTS = (ValueError, TypeError, msgspec.ValidationError)
_CIRCLE = (
    "it contains itself without a class between: write a dataclass, a TypedDict or a pydantic model "
    "that does"
)
#: msgspec's words for types, in those of the protocol.
_WORDS = (("`null`", "None"), ("`object`", "a map"), ("`array`", "a list"), ("`", ""))


class Expected:
    """What one parameter takes: ``annotation`` for msgspec, then ``then`` with what that made."""

    __slots__ = ("annotation", "then")

    def __init__(self, annotation: Any, then: Callable[[Any], Any] | None = None) -> None:
        self.annotation = annotation
        self.then = then


def expected_by(
    parameter: Parameter, annotations: Annotations, decoded: Collection[type] = ()
) -> Expected:
    """What a parameter takes. Raises ``TypeError``: that cannot be checked, or its default is not it.

    Args:
        parameter: Which.
        annotations: Those of its function.
        decoded: Classes that arguments have become by then, or were refused.
    """
    annotation = without_aliases(annotations.resolve(parameter.name))
    if any(part is known for part in parts(annotation) for known in decoded):
        return Expected(Any)
    if parameter.kind.endswith("rest"):
        if type(annotation).__name__ in ("ParamSpecArgs", "ParamSpecKwargs"):
            return Expected(Any)
        annotation = _collected(parameter.kind, annotation)
    elif not parameter.required and parameter.default is None and annotation is not Any:
        annotation = annotation | None if not isinstance(annotation, str) else annotation
    expected = _how_to_check(annotation)
    if not parameter.required and not parameter.kind.endswith("rest"):
        _check_default(parameter, expected)
    return expected


def _collected(kind: str, annotation: Any) -> Any:
    """Of ``*args: int`` and ``**kwargs: int``: all of them."""
    if str(typing.get_origin(annotation)).endswith("Unpack"):
        return typing.get_args(annotation)[0]
    if getattr(annotation, "__unpacked__", False):  # *tuple[int, str]
        return annotation.__origin__[annotation.__args__]
    return list[annotation] if kind == "rest" else dict[str, annotation]


def _how_to_check(annotation: Any) -> Expected:
    found = list(parts(annotation))
    if any(isinstance(part, typing.ForwardRef) for part in found):
        raise TypeError(_CIRCLE)
    if any(of_pydantic(part) or needs_pydantic(part) for part in found):
        return Expected(Any, _by_pydantic(annotation))
    unknown = unknown_types(annotation)
    if unknown:
        raise TypeError(
            f"nothing that a caller sends becomes a {unknown[0]}; annotate what arrives (a dataclass, "
            "a TypedDict, a list, Any) and make it of that"
        )
    if _is_plain(annotation):
        return Expected(Any, _by_type(annotation))
    if is_array(bare(annotation)):
        from .arrays import array_maker

        return Expected(Any, array_maker(bare(annotation)))
    fault = _fault_of_msgspec(annotation)
    if fault is None:
        return Expected(annotation)
    if any(map(is_array, members(annotation))):
        return Expected(Any, _array_or_else(annotation))
    try:
        return Expected(Any, _by_pydantic(annotation))
    except TypeError as second:
        raise TypeError(f"{fault}; and {second}") from None


def _fault_of_msgspec(annotation: Any) -> str | None:
    """Why msgspec cannot check an annotation; None: it can."""
    try:
        msgspec.convert(_NOTHING, annotation, dec_hook=make)
    except msgspec.ValidationError:
        return None
    except RecursionError:
        return _CIRCLE
    except Exception as error:
        return shorten(str(error), 300).strip("'\"")
    return None


def _by_pydantic(annotation: Any) -> Callable[[Any], Any]:
    try:
        from pydantic import TypeAdapter
    except ImportError:
        raise TypeError("pydantic 2, which could check it, is not here: install pydantic") from None
    try:
        validate: Callable[[Any], Any] = TypeAdapter(annotation).validate_python
    except Exception as error:
        first, *_ = str(error).splitlines() or [""]
        raise TypeError(f"pydantic cannot check it: {first[:300]}") from None
    return validate


def _array_or_else(annotation: Any) -> Callable[[Any], Any]:
    """For unions with arrays, which msgspec does not have: an array, or else one of the others."""
    arrays = [kind for kind in members(annotation) if is_array(kind)]
    rest = _expected_of([kind for kind in members(annotation) if not is_array(kind)])

    def check(value: Any) -> Any:
        fault: Exception | None = None
        for kind in arrays if type(value).__module__ == "numpy" else ():
            try:
                return make(kind, value)
            except (TypeError, ValueError) as error:
                fault = error
        if fault is not None:
            raise ValueError(str(fault)) from None
        return convert(rest, value)

    return check


def _expected_of(kinds: list[Any]) -> Expected:
    return _how_to_check(typing.Union[tuple(kinds)])  # noqa: UP007


def _is_plain(annotation: Any) -> bool:
    """Whether it is bytes, or a union of what MessagePack has: cheaper to look at than to convert."""
    kinds = [bare(kind) for kind in members(annotation)]
    if len(kinds) == 1:
        return kinds[0] is bytes
    return all(isinstance(kind, type) and not typing.get_args(kind) for kind in kinds) and (
        plain_kinds(_text(annotation), {}) is not None
    )


def _text(annotation: Any) -> str:
    """As it stands in a source, for unions of classes: ``str | bytes``."""
    return " | ".join(getattr(bare(kind), "__name__", "") for kind in members(annotation))


def _by_type(annotation: Any) -> Callable[[Any], Any]:
    text = _text(annotation)
    kinds = plain_kinds(text, {}) or frozenset()
    takes_text = bytes in kinds and str not in kinds

    def check(value: Any) -> Any:
        if type(value) in kinds:
            return value
        if takes_text and type(value) is str:
            return value.encode("utf-8", "surrogatepass")
        raise ValueError(f"Expected `{text}`, got `{type(value).__name__}`")

    return check


def _check_default(parameter: Parameter, expected: Expected) -> None:
    """Refuse one that the tool would get, and that is not what its annotation says."""
    default = parameter.default
    if default is None or type(default) not in (bool, int, float, str, bytes, list, dict):
        return  # an instance of a class, or a mark of the tool's own
    try:
        made = convert(expected, default)
    except FAULTS as error:
        what = shorten(in_words(str(error)), 200).strip("'\"")
        raise TypeError(f"its default {shorten(default)} does not fit: {what}") from None
    if type(made) is not type(default) and type(made) is not float:
        raise TypeError(
            f"its default {shorten(default)} is no {type(made).__name__}, which is what the tool gets "
            "from callers"
        )


def convert(expected: Expected, value: Any) -> Any:
    """One value, as msgspec and then pydantic want it. Raises one of ``FAULTS``."""
    mended = mend(expected.annotation, value)
    made = msgspec.convert(
        mended, expected.annotation, dec_hook=make, str_keys=True, builtin_types=(bytes, bytearray)
    )
    return made if expected.then is None else expected.then(made)


def in_words(what: str) -> str:
    """What msgspec says of a value, in the words of the protocol."""
    for word, ours in _WORDS:
        what = what.replace(word, ours)
    return what

"""What kind of type an annotation is, and what is in it."""

from __future__ import annotations

import collections.abc
import sys
import types
import typing
from typing import Annotated, Any, Literal, Union

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Types that list their items, whose annotation has one type for all of them.
SEQUENCES: tuple[Any, ...] = (
    *(list, set, frozenset, collections.abc.Collection, collections.abc.Sequence),
    *(collections.abc.MutableSequence, collections.abc.Set, collections.abc.MutableSet),
    collections.abc.Iterable,
)
MAPPINGS: tuple[Any, ...] = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def origin_of(annotation: Any) -> Any:
    """The class below its parameters: ``list`` of ``list[int]``; else the annotation itself."""
    return typing.get_origin(annotation) or annotation


def bare(annotation: Any) -> Any:
    """Without what is said about it: ``Annotated``, ``NewType``, ``Required``, an alias's name."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            annotation = annotation.__origin__
        elif str(origin) in _QUALIFIERS:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif is_alias(annotation):
            annotation = annotation.__value__
        elif is_alias(origin):  # NumPy's NDArray[float32], from 2.5 on
            annotation = origin.__value__[typing.get_args(annotation)]
        elif isinstance(annotation, typing.TypeVar):
            bound = annotation.__bound__
            constraints = annotation.__constraints__
            annotation = bound or (Union[constraints] if constraints else Any)  # noqa: UP007
        else:
            return annotation


def is_alias(annotation: Any) -> bool:
    """Whether it was made by a ``type`` statement, which Python has from 3.12 on."""
    return type(annotation).__name__ == "TypeAliasType"


def without_aliases(annotation: Any, seen: tuple[Any, ...] = ()) -> Any:
    """The same with what ``type`` statements stand for, at any depth, as msgspec wants it.

    One that contains itself stays where it does.
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if is_alias(annotation) or is_alias(origin):
        name = annotation if is_alias(annotation) else origin
        if name in seen:
            return annotation
        return without_aliases(bare(annotation), (*seen, name))
    if not inner or origin is Literal or not any(map(_has_alias, inner)):
        return annotation
    if origin is Annotated:
        plain = without_aliases(annotation.__origin__, seen)
        return Annotated[(plain, *annotation.__metadata__)]
    made = tuple(without_aliases(part, seen) for part in inner)
    return Union[made] if is_union(annotation) else origin[made]  # noqa: UP007


def _has_alias(annotation: Any) -> bool:
    if is_alias(annotation) or is_alias(typing.get_origin(annotation)):
        return True
    return any(map(_has_alias, typing.get_args(annotation)))


_QUALIFIERS = {
    f"typing.{name}" for name in ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
} | {f"typing_extensions.{name}" for name in ("Required", "NotRequired", "ReadOnly")}


def is_union(annotation: Any) -> bool:
    """Whether it is ``A | B``, ``Optional[A]`` or ``Union[A, B]``."""
    return typing.get_origin(annotation) in (Union, types.UnionType)


def members(annotation: Any) -> tuple[Any, ...]:
    """What a union has, and what is in its members that are unions; else the annotation itself."""
    annotation = bare(annotation)
    if not is_union(annotation):
        return (annotation,)
    return tuple(inner for part in typing.get_args(annotation) for inner in members(part))


def fields_of(annotation: Any) -> dict[str, Any] | None:
    """The fields of a record by the names that callers use; None: it is no record.

    Records: dataclasses, typed dicts, named tuples, classes of attrs and msgspec.
    """
    kind = origin_of(annotation)
    if not isinstance(kind, type) or not is_record(kind):
        return None
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:
        return {}  # whoever reads it in earnest says why
    parameters = getattr(kind, "__parameters__", ())
    given = dict(zip(parameters, typing.get_args(annotation), strict=False))
    hints = {name: given.get(hint, hint) for name, hint in hints.items() if _hashable(hint)}
    names = getattr(kind, "__struct_fields__", None)
    if names is not None:
        return {
            shown: hints.get(name, Any)
            for name, shown in zip(names, kind.__struct_encode_fields__, strict=True)  # type: ignore[attr-defined]
        }
    return hints


def _hashable(hint: Any) -> bool:
    try:
        hash(hint)
    except TypeError:
        return False
    return True


def is_record(kind: type) -> bool:
    """Whether it is a class of named fields."""
    return (
        hasattr(kind, "__dataclass_fields__")
        or hasattr(kind, "__attrs_attrs__")
        or is_typed_dict(kind)
        or is_named_tuple(kind)
        or is_struct(kind)
    )


def is_typed_dict(kind: Any) -> bool:
    return (
        isinstance(kind, type) and hasattr(kind, "__total__") and hasattr(kind, "__required_keys__")
    )


def is_named_tuple(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def is_struct(kind: Any) -> bool:
    """Whether it is a class of msgspec."""
    return isinstance(kind, type) and hasattr(kind, "__struct_fields__")


def is_array(annotation: Any) -> bool:
    """Whether it is NumPy's array, with parameters or without."""
    array = getattr(sys.modules.get("numpy"), "ndarray", None)
    return array is not None and origin_of(annotation) is array


def of_pydantic(annotation: Any) -> bool:
    """Whether only pydantic knows what it means: a model, a type of it, a constraint of it."""
    if typing.get_origin(annotation) is Annotated:
        return any(map(_is_constraint, annotation.__metadata__))
    kind = origin_of(annotation)
    if isinstance(kind, type) and hasattr(kind, "__pydantic_fields__"):
        return True  # before its dataclasses are taken for ordinary ones
    module = getattr(kind, "__module__", None) or ""
    if not isinstance(kind, type) or module.partition(".")[0] not in ("pydantic", "pydantic_core"):
        return hasattr(kind, "__get_pydantic_core_schema__")
    return True


def _is_constraint(said: Any) -> bool:
    kind = said if isinstance(said, type) else type(said)
    top = (getattr(kind, "__module__", None) or "").partition(".")[0]
    return top in ("annotated_types", "pydantic", "pydantic_core")


def parts(annotation: Any) -> Iterator[Any]:
    """The annotation and all that is in it, fields of records included, each once."""
    seen: list[Any] = []
    todo = [annotation]
    while todo:
        part = todo.pop()
        if any(part is other for other in seen):
            continue
        seen.append(part)
        yield part
        origin = typing.get_origin(part)
        if origin is Literal:
            continue
        if origin is Annotated:
            todo.append(part.__origin__)
            continue
        plain = bare(part)
        if plain is not part:
            todo.append(plain)
            continue
        if is_array(part):
            continue
        todo.extend(typing.get_args(part))
        fields = fields_of(part)
        if fields is not None and not of_pydantic(part):
            todo.extend(fields.values())

"""Arguments that become what their annotations say, or are refused with their path: ``validate=True``.

msgspec makes them, all arguments of a call in one step; pydantic those that have something of its own
in them, or a union that msgspec cannot tell apart. What cannot be checked is refused at the start.
"""

from __future__ import annotations

import re
import typing
from typing import Any

import msgspec

from .expectations import FAULTS, Expected, convert, expected_by, in_words
from .forms import MAPPINGS, origin_of, parts
from .known_types import knows_by_itself, make
from .mending import mend
from .plain import Places, refusal
from .resolve import Annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ..errors import InvalidParams
    from ..signature import Signature
    from .plain import Checks

#: What no argument is.
_NOTHING = object()
#: Where in a value msgspec has found something.
_PLACE = re.compile(r"^(.*) - at (`key` in )?`\$(.*)`$", re.DOTALL)


def typed_checks(
    tool: str,
    function: Callable[..., Any],
    signature: Signature,
    decoded: Collection[type] = (),
) -> Checks:
    """What makes the arguments of a tool what its annotations say.

    Args:
        tool: Its name.
        function: Whose annotations these are.
        signature: Its parameters.
        decoded: Classes that arguments have become by then, or were refused: by the adapter's
            ``decoders``.

    Raises:
        TypeError: An annotation cannot be read or checked, or a default does not fit. The message names the tool, the parameter, and what to do.
    """
    annotations = Annotations(function)
    expected = {}
    for parameter in signature.parameters:
        try:
            expected[parameter.name] = expected_by(parameter, annotations, decoded)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{tool}: the parameter {parameter.name!r} cannot be validated: {error}. Or leave it "
                f"unchecked: @tool(validate=False)"
            ) from None
    return _TypedChecks(tool, signature, expected)


class _TypedChecks:
    """Those of one tool. Any thread.

    Called with the arguments of a call, it returns them as the function shall have them, or raises
    ``InvalidParams``.
    """

    def __init__(self, tool: str, signature: Signature, expected: dict[str, Expected]) -> None:
        self._tool = tool
        self._signature = signature
        self._expected = expected
        self._places = places = Places(signature)
        rest = [p.name for p in (places.rest, places.named_rest) if p is not None]
        names = [name for name in expected if name not in rest]
        # those of a class with two underscores in front would be private ones of the struct
        fields = {n: f"a{i}" if n.startswith("__") else n for i, n in enumerate(names)}
        #: Parameters that are given by position: the struct of all of them takes a list.
        self._positions = [p.name for _, p in places.by_position]
        self._by_position = _struct(
            [(fields[name], expected[name].annotation) for name in self._positions], array_like=True
        )
        self._by_name = _struct(
            [(fields[name], expected[name].annotation) for name in names],
            rename={field: name for name, field in fields.items()},
        )
        self._fields = fields
        self._same_names = all(field == name for name, field in fields.items())
        self._later = {name: e.then for name, e in expected.items() if e.then is not None}
        self._later_at = [
            (index, name, self._later[name])
            for index, name in enumerate(self._positions)
            if name in self._later
        ]
        self._options = _options_for(
            [part for e in expected.values() for part in parts(e.annotation)]
        )

    def __call__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...] | list[Any], dict[str, Any]]:
        given: Any = args
        if args:
            index, context = self._places.context_index, _NOTHING
            if index is not None and index < len(args):
                context = args[index]
                args = args[:index] + args[index + 1 :]
            count = len(self._positions)
            rest = args[count:]
            given = self._make_positional(args[:count] if rest else args)
            if rest and self._places.rest is not None:
                given += self._make_rest(self._places.rest.name, list(rest))
            if context is not _NOTHING:
                given.insert(index, context)
        if kwargs:
            kwargs = self._make_named(kwargs)
        return given, kwargs

    def _make_positional(self, args: tuple[Any, ...]) -> list[Any]:
        try:
            struct = msgspec.convert(args, self._by_position, **self._options)
        except msgspec.ValidationError:
            names = self._positions
            pairs = zip(names, args, strict=False)
            mended = [mend(self._expected[name].annotation, value) for name, value in pairs]
            struct = self._convert(mended, self._by_position, lambda key: names[int(key)])
        made = list(msgspec.structs.astuple(struct)[: len(args)])
        for index, name, then in self._later_at:
            if index < len(made):
                made[index] = self._then(name, then, made[index])
        return made

    def _make_named(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            struct = msgspec.convert(kwargs, self._by_name, **self._options)
        except msgspec.ValidationError:
            mended = {
                name: mend(self._expected[name].annotation, value)
                if name in self._fields
                else value
                for name, value in kwargs.items()
            }
            struct = self._convert(mended, self._by_name, str)
        if self._same_names and len(kwargs) == len(self._fields) and not self._later:
            made: dict[str, Any] = msgspec.structs.asdict(struct)
            if made.keys() == kwargs.keys():
                return made
        fields, rest = self._fields, {}
        made = {}
        for name, value in kwargs.items():
            field = fields.get(name)
            if field is not None:
                value = getattr(struct, field)
                then = self._later.get(name)
                made[name] = value if then is None else self._then(name, then, value)
            elif name == self._places.context_name:
                made[name] = value
            else:
                rest[name] = value
        if rest and self._places.named_rest is not None:
            made.update(self._make_rest(self._places.named_rest.name, rest))
        return made

    def _make_rest(self, name: str, values: Any) -> Any:
        expected = self._expected[name]
        try:
            return convert(expected, values)
        except FAULTS as error:
            raise self._refuse(name, error, name) from None

    def _convert(self, values: Any, struct: Any, name_of: Callable[[str], str]) -> Any:
        try:
            return msgspec.convert(
                values, struct, dec_hook=make, str_keys=True, builtin_types=(bytes, bytearray)
            )
        except msgspec.ValidationError as error:
            what, key, path = _split(str(error))
            first = re.match(r"\[(\d+)\]|\.([^.\[]+)", path)
            if first is None:
                raise self._refuse("", error, "the arguments") from None
            name = name_of(first[1] or first[2])
            raise self._refuse(name, what, f"{key}{name}{path[first.end() :]}") from None

    def _then(self, name: str, then: Callable[[Any], Any], value: Any) -> Any:
        try:
            return then(value)
        except FAULTS as error:
            raise self._refuse(name, error, name) from None

    def _refuse(self, name: str, error: object, path: str) -> InvalidParams:
        errors = getattr(error, "errors", None)
        if errors is not None:  # pydantic's
            what, inner = _first_of_pydantic(errors)
            path += inner
        elif isinstance(error, str):
            what = error
        else:
            what, key, inner = _split(str(error))
            path = f"{key}{path}{inner}"
        return refusal(self._tool, self._signature, name, path, f": {in_words(what)}")


def _options_for(found: list[Any]) -> dict[str, Any]:
    """What msgspec is to be told for annotations with these parts; each option takes its time."""
    options: dict[str, Any] = {}
    if bytes in found or bytearray in found:
        options["builtin_types"] = (bytes, bytearray)  # else text would be taken for base64
    if not all(map(knows_by_itself, found)):
        options["dec_hook"] = make
    if any(origin_of(part) in MAPPINGS and (typing.get_args(part) or (str,))[0] is not str for part in found):  # fmt: skip
        options["str_keys"] = True  # JSON has no others
    return options


def _struct(fields: list[tuple[str, Any]], **options: Any) -> Any:
    with_default = [(name, annotation, msgspec.UNSET) for name, annotation in fields]
    return msgspec.defstruct("Arguments", with_default, gc=False, **options)


def _split(message: str) -> tuple[str, str, str]:
    """What msgspec says, whether it is of a key, and the path."""
    found = _PLACE.match(message)
    if found is None:
        return message, "", ""
    return found[1], "a key of " if found[2] else "", found[3]


def _first_of_pydantic(errors: Callable[..., list[dict[str, Any]]]) -> tuple[str, str]:
    """What pydantic says first, and its path."""
    found = errors(include_url=False, include_context=False, include_input=False)
    first = found[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{first['msg']}{more}", path

"""Plain annotations, which hold for every tool: text and bytes, numbers, lists, maps.

Elixir has one type for text and bytes, so a binary arrives as ``str`` or as ``bytes`` by what it
looks like (``wire/codec.py``). A parameter that is annotated gets what it names, whatever that was.

Annotations are read as text: ``typing`` costs more than a start, and names that only a type checker
sees are no obstacle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import InvalidParams
from ..typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..signature import Parameter, Signature

    #: What is done with the arguments of a call, context included, before the function has them.
    Checks = Callable[
        [tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...] | list[Any], dict[str, Any]]
    ]
else:
    Checks = Callable

#: What an annotation names, and the types of arguments that keep its promise. As for type checkers,
#: a whole number is a float, and a boolean a whole number.
_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int, bool),
    "float": (float, int, bool),
    "bool": (bool,),
    "str": (str,),
    "bytes": (bytes,),
    "list": (list,),
    "List": (list,),
    "dict": (dict,),
    "Dict": (dict,),
    "None": (type(None),),
    "NoneType": (type(None),),
}
#: What the wire has without an extension. Anything else, an array or a time, is left to the tool.
_PLAIN = frozenset(kind for kinds in _KINDS.values() for kind in kinds)
_TEXTS = frozenset([str, bytes, type(None)])


def plain_checks(tool: str, signature: Signature, names: Mapping[str, Any]) -> Checks | None:
    """What holds the plain annotations of a tool; None: it has none.

    Args:
        tool: Its name.
        signature: Its parameters.
        names: Of the module where it is defined: what it calls ``str`` may be something else.
    """
    checks = {}
    for parameter in signature.parameters:
        kinds = plain_kinds(parameter.annotation, names)
        if kinds is not None:
            if not parameter.required and not parameter.kind.endswith("rest"):
                kinds |= {type(parameter.default)} & _PLAIN  # n: int = None
            checks[parameter.name] = _Check(tool, signature, parameter, kinds)
    return _PlainChecks(signature, checks) if checks else None


def plain_kinds(text: str | None, names: Mapping[str, Any]) -> frozenset[type] | None:
    """The types of arguments that an annotation allows; None: it is not a plain one."""
    kinds: set[type] = set()
    for part in split_union(text or ""):
        name, bracket, _ = part.partition("[")
        first, dot, last = name.strip().rpartition(".")
        known = _KINDS.get(last)
        if known is None or (dot and first not in ("typing", "t", "builtins")):
            return None
        if not dot and names.get(last, known[0]) is not known[0] and last not in ("List", "Dict"):
            return None  # the module has something of its own by this name
        if bracket and list not in known and dict not in known:
            return None
        kinds.update(known)
    return frozenset(kinds) or None


def split_union(text: str) -> list[str]:
    """The members of a union, as they stand in the source: ``int | None``, ``Optional[int]``."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip()
    outer, bracket, inner = text.partition("[")
    word = outer.strip().rpartition(".")[2]
    if bracket and inner.endswith("]") and word in ("Optional", "Union"):
        parts = _split(inner[:-1], "," if word == "Union" else "|")
        members = [member for part in parts for member in split_union(part)]
        return [*members, "None"] if word == "Optional" else members
    parts = _split(text, "|")
    if len(parts) == 1:
        return parts
    return [member for part in parts for member in split_union(part)]


def _split(text: str, separator: str) -> list[str]:
    """Its parts, but not within brackets."""
    parts, depth, begin = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "[(") - (character in "])")
        if character == separator and depth == 0:
            parts.append(text[begin:index].strip())
            begin = index + 1
    parts.append(text[begin:].strip())
    return [part for part in parts if part]


class Places:
    """Where the arguments of a call belong, the context among them.

    ``by_position``: each parameter that can be given so, with its index. ``rest``: those that take
    any further ones, by position and by name, and where the first begins.
    """

    def __init__(self, signature: Signature) -> None:
        self.by_position: list[tuple[int, Parameter]] = []
        self.rest: Parameter | None = None
        self.named_rest: Parameter | None = None
        self.context_name = signature.context_name
        self.context_index = signature.context_index
        index = 0
        for parameter in signature.parameters:
            if index == signature.context_index:
                index += 1
            if parameter.kind in ("positional", "either"):
                self.by_position.append((index, parameter))
                index += 1
            elif parameter.kind == "rest":
                self.rest = parameter
            elif parameter.kind == "named_rest":
                self.named_rest = parameter
        self.rest_index = index + (signature.context_index == index)


class _PlainChecks:
    """Those of one tool. Any thread.

    Called with the arguments of a call, it returns them as the function shall have them, or raises
    ``InvalidParams``.
    """

    __slots__ = ("_positions", "_names", "_rest", "_rest_index", "_named_rest", "_context_name")

    def __init__(self, signature: Signature, checks: dict[str, _Check]) -> None:
        places = Places(signature)
        self._positions = [
            (index, checks[p.name].kinds, checks[p.name])
            for index, p in places.by_position
            if p.name in checks
        ]
        named = {p.name for p in signature.parameters if not p.kind.endswith("rest")}
        self._names = {name: checks.get(name) for name in named}
        self._rest = None if places.rest is None else checks.get(places.rest.name)
        self._rest_index = places.rest_index
        last = places.named_rest
        self._named_rest = None if last is None else checks.get(last.name)
        self._context_name = places.context_name

    def __call__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...] | list[Any], dict[str, Any]]:
        given: Any = args
        count = len(args)
        for index, kinds, check in self._positions:
            if index >= count:
                break
            if type(args[index]) not in kinds:
                if given is args:
                    given = list(args)
                given[index] = check.mend(args[index], check.parameter.name)
        if self._rest is not None and count > self._rest_index:
            given = list(given)
            for index in range(self._rest_index, count):
                place = f"{self._rest.parameter.name}[{index - self._rest_index}]"
                given[index] = self._rest.hold(given[index], place)
        if kwargs:
            for name, value in kwargs.items():
                known = self._names.get(name, self._named_rest)
                if known is not None and name != self._context_name:
                    kwargs[name] = known.hold(value, name)
        return given, kwargs


class _Check:
    """The promise of one parameter."""

    __slots__ = ("parameter", "kinds", "_tool", "_signature")

    def __init__(
        self, tool: str, signature: Signature, parameter: Parameter, kinds: frozenset[type]
    ) -> None:
        self.parameter = parameter
        self.kinds = kinds
        self._tool = tool
        self._signature = signature

    def hold(self, value: Any, place: str) -> Any:
        return value if type(value) in self.kinds else self.mend(value, place)

    def mend(self, value: Any, place: str) -> Any:
        """What the tool gets for a value of another type. Raises ``InvalidParams``."""
        kind, kinds = type(value), self.kinds
        if kind is str and bytes in kinds:
            return value.encode("utf-8", "surrogatepass")
        if kind is bytes and str in kinds:
            try:
                return value.decode()
            except UnicodeDecodeError as error:
                what = (
                    f"is text, and the binary of {len(value)} bytes is not: byte {error.start} is "
                    f"0x{value[error.start]:02x}, which is no UTF-8 there. A tool that takes bytes says "
                    "so: bytes"
                )
                raise self._refuse(place, what) from None
        if kind not in _PLAIN and not kinds <= _TEXTS:
            return value
        got = "None" if value is None else kind.__name__
        raise self._refuse(place, f"must be {self.parameter.annotation}, got {got}")

    def _refuse(self, place: str, what: str) -> InvalidParams:
        return refusal(self._tool, self._signature, self.parameter.name, place, f" {what}")


def refusal(tool: str, signature: Signature, parameter: str, path: str, what: str) -> InvalidParams:
    """The answer to a call whose argument breaks the promise of an annotation."""
    return InvalidParams(
        f"{tool}: {path}{what}; the tool is {tool}({signature})",
        started=False,
        details={"parameter": parameter, "path": path},
    )

"""Arguments as the annotations of a tool name them: ``pandas.DataFrame``, ``torch.Tensor``, an own class.

=====================================  ===========================================================
annotated                              what the tool gets
=====================================  ===========================================================
``pandas.DataFrame``                   of a table, of a list of maps, of a map of lists
``polars.DataFrame``, ``LazyFrame``    the same
``pyarrow.Table``, ``RecordBatch``     the same
``pandas.Series``, ``polars.Series``   of a list, an array, or a table of one column
``torch.Tensor``                       of a tensor, a number or lists of numbers; its own memory
a class in ``decoders``                what its function makes of the argument
=====================================  ===========================================================

Also within ``X | None``, ``Optional[X]``, ``list[X]`` and ``dict[str, X]``. Runs on the thread of the
call, as a part of the tool.
"""

from __future__ import annotations

import sys

from ..errors import InvalidParams, class_name, shorten
from ..signature import layers
from ..typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..signature import Parameter, Signature
    from . import Conversion

    #: Makes one argument; raises whatever it likes.
    Maker = Callable[[Any], Any]

_LIBRARIES = frozenset(["pandas", "polars", "pyarrow", "torch"])
#: So many levels of lists and maps are looked through for arrays that shall be writable.
_MAX_LEVELS = 64


def new_conversion(
    name: str,
    function: Callable[..., Any],
    signature: Signature,
    decoders: Mapping[type, Maker],
    writable: bool,
) -> Conversion | None:
    """As ``find_conversion``."""
    names: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for layer in layers(function):
        names = getattr(layer, "__globals__", names)
        annotations = _annotations(layer) or annotations
    makers: dict[str, Maker] = {}
    for parameter in signature.parameters:
        annotation = annotations.get(parameter.name, parameter.annotation)
        maker = _maker(annotation, names, decoders)
        if maker is not None:
            makers[parameter.name] = maker
    if not makers and not writable:
        return None
    return _Arguments(name, signature, makers, writable)


class _Arguments:
    """Makes the arguments of one tool's calls. Immutable: any thread.

    Args:
        name: the tool's.
        signature: its parameters.
        makers: what makes an argument, by the parameter's name.
        writable: whether arrays are copied, so that it may write to them.
    """

    def __init__(
        self, name: str, signature: Signature, makers: dict[str, Maker], writable: bool
    ) -> None:
        self._name = name
        self._makers = makers
        self._writable = writable
        self._by_position = [p for p in signature.parameters if p.kind in ("positional", "either")]
        self._names = {parameter.name for parameter in signature.parameters}
        self._rest = next((p for p in signature.parameters if p.kind == "rest"), None)
        self._named_rest = next((p for p in signature.parameters if p.kind == "named_rest"), None)
        self._context_index = signature.context_index
        self._context_name = signature.context_name

    def __call__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Raises ``InvalidParams`` that names the parameter."""
        made = list(args)
        # the context stands among those by position if it is not given by name
        context = self._context_index
        if context is None or self._context_name in kwargs or len(args) <= context:
            context = len(args)
        for index in range(len(made)):
            if index != context:
                at = index - (index > context)
                made[index] = self._make(self._parameter(at), made[index])
        named = {
            name: value if name == self._context_name else self._make_named(name, value)
            for name, value in kwargs.items()
        }
        return tuple(made), named

    def _parameter(self, at: int) -> Parameter | None:
        return self._by_position[at] if at < len(self._by_position) else self._rest

    def _make_named(self, name: str, value: Any) -> Any:
        maker = self._makers.get(name)
        if name not in self._names and self._named_rest is not None:
            maker = self._makers.get(self._named_rest.name)
        return self._apply(name, maker, value)

    def _make(self, parameter: Parameter | None, value: Any) -> Any:
        if parameter is None:
            return self._apply("", None, value)
        return self._apply(parameter.name, self._makers.get(parameter.name), value)

    def _apply(self, name: str, maker: Maker | None, value: Any) -> Any:
        if self._writable:
            value = _writable(value, _MAX_LEVELS)
        if maker is None:
            return value
        try:
            return maker(value)
        except InvalidParams:
            raise
        except Exception as error:
            raise InvalidParams(
                f"{self._name}: the argument {name!r}: {shorten_error(error)}", started=False
            ) from error


def shorten_error(error: Exception) -> str:
    """What an exception says, of a length for a message."""
    try:
        text = str(error)
    except Exception:
        text = ""
    name = class_name(type(error), module=False)
    if not text:
        return name
    # "'cents'" alone is all that a KeyError says
    return text[:500] if isinstance(error, TypeError | ValueError) else f"{name}: {text[:500]}"


def _writable(value: Any, levels: int) -> Any:
    """The value with copies of its arrays, which nobody else has. Lists and maps are changed in place."""
    array = getattr(sys.modules.get("numpy"), "ndarray", None)  # another thread may be importing it
    if array is None or not levels:
        return value
    if isinstance(value, array):
        return value if value.flags.writeable else value.copy()
    if type(value) is list:
        for index, item in enumerate(value):
            if type(item) is list or type(item) is dict or isinstance(item, array):
                value[index] = _writable(item, levels - 1)
    elif type(value) is dict:
        for key, item in value.items():
            if type(item) is list or type(item) is dict or isinstance(item, array):
                value[key] = _writable(item, levels - 1)
    return value


def _annotations(function: Any) -> dict[str, Any]:
    try:
        annotations: dict[str, Any] = getattr(function, "__annotations__", None) or {}
    except NameError:  # from Python 3.14 on: of names that only a type checker sees
        import annotationlib  # type: ignore[import-not-found, unused-ignore]

        annotations = annotationlib.get_annotations(
            function, format=annotationlib.Format.FORWARDREF
        )
    return annotations


def _maker(annotation: Any, names: dict[str, Any], decoders: Mapping[type, Maker]) -> Maker | None:
    """What makes an argument of what its annotation says; None: it is what comes."""
    for _ in range(2):  # text within text, where annotations are text anyway
        if isinstance(annotation, str):
            annotation = _evaluate(annotation, names)
    arguments: tuple[Any, ...] = getattr(annotation, "__args__", ())
    origin = getattr(annotation, "__origin__", None)
    if origin is list and len(arguments) == 1:
        inner = _maker(arguments[0], names, decoders)
        return None if inner is None else _for_each(inner)
    if origin is dict and len(arguments) == 2:
        inner = _maker(arguments[1], names, decoders)
        return None if inner is None else _for_each_value(inner)
    if arguments and _is_optional(annotation):
        inner = _maker(next(part for part in arguments if part is not type(None)), names, decoders)
        return None if inner is None else _unless_none(inner)
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _maker(origin, names, decoders)
    kind = origin or annotation
    if not isinstance(kind, type):
        return None
    if kind in decoders:
        return _unless_made(kind, decoders[kind])
    if kind.__module__.partition(".")[0] not in _LIBRARIES:
        return None
    from .libraries import maker_of

    return maker_of(kind)


def _evaluate(text: str, names: dict[str, Any]) -> Any:
    """What an annotation says that is text; itself where a name in it is not there at run time."""
    try:
        return eval(text, names)
    except Exception:
        return None


def _is_optional(annotation: Any) -> bool:
    """Whether it is ``X | None`` or ``Optional[X]``: of one X."""
    arguments = annotation.__args__
    union = type(annotation).__name__ in ("UnionType", "_UnionGenericAlias", "Union")
    return union and len(arguments) == 2 and type(None) in arguments


def _unless_none(maker: Maker) -> Maker:
    return lambda value: None if value is None else maker(value)


def _unless_made(kind: type, function: Maker) -> Maker:
    """A decoder is not asked for what is an instance already: the default of a parameter, a test's."""
    return lambda value: value if type(value) is kind else function(value)


def _for_each(maker: Maker) -> Maker:
    def make(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, got {shorten(value)}")
        return [_at(maker, index, item) for index, item in enumerate(value)]

    return make


def _for_each_value(maker: Maker) -> Maker:
    def make(value: Any) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise TypeError(f"expected a map, got {shorten(value)}")
        return {key: _at(maker, key, item) for key, item in value.items()}

    return make


def _at(maker: Maker, place: Any, item: Any) -> Any:
    try:
        return maker(item)
    except Exception as error:
        raise ValueError(f"at [{shorten(place)}]: {shorten_error(error)}") from error

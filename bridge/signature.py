"""The signature of a function, as those who call it over the wire see it.

``inspect.signature`` would be the natural reader, but importing ``inspect`` costs as much as
starting Python. Plain functions say all that is needed in their code object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .context import Context
from .errors import class_name, cut, shorten
from .typing_names import Any

CO_VARARGS, CO_VARKEYWORDS = 0x04, 0x08
#: So much is shown of an annotation or a default.
_MAX_SHOWN = 1000
CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200


class Parameter:
    """One parameter as callers see it.

    ``kind``: ``positional``, ``either``, ``named``, ``rest`` (``*args``) or ``named_rest``
    (``**kwargs``). ``annotation``: its text, None without one. ``default``: None without one.
    """

    __slots__ = ("name", "kind", "annotation", "required", "default")

    def __init__(
        self, name: str, kind: str, annotation: str | None, required: bool, default: Any = None
    ) -> None:
        self.name = name
        self.kind = kind
        self.annotation = annotation
        self.required = required
        self.default = default

    def __str__(self) -> str:
        stars = {"rest": "*", "named_rest": "**"}.get(self.kind, "")
        text = stars + self.name + (f": {self.annotation}" if self.annotation else "")
        if self.required or stars:
            return text
        return text + (" = " if self.annotation else "=") + _show(self.default)

    def describe(self) -> dict[str, Any]:
        """The parameter as ``$/tools`` shows it. A default that is no scalar is shown as text."""
        default, kind = self.default, type(self.default)
        if issubclass(kind, str):
            default = cut(default)
        elif default is not None and not issubclass(kind, bool | int | float):
            default = _show(default)
        return {
            "name": self.name,
            "kind": self.kind,
            "annotation": self.annotation,
            "required": self.required,
            "default": default,
        }


def _show(value: object) -> str:
    """What an annotation or a default looks like: of a class of its own, which may do anything then."""
    return cut(shorten(value, _MAX_SHOWN))


class Signature:
    """The parameters that callers see, and the one that they do not: the context's.

    ``context_name``: the parameter annotated ``Context``, None without one. ``context_index``: its
    place among those that are given by position, None if it is given by name only.
    """

    __slots__ = ("parameters", "context_name", "context_index")

    def __init__(
        self,
        parameters: Iterable[Parameter],
        context_name: str | None = None,
        context_index: int | None = None,
    ) -> None:
        self.parameters = tuple(parameters)
        self.context_name = context_name
        self.context_index = context_index

    def __str__(self) -> str:
        """As between the parentheses of a ``def``: ``text: str, top: int = 1``."""
        parts, previous = [], None
        for parameter in self.parameters:
            if previous == "positional" != parameter.kind:
                parts.append("/")
            if parameter.kind == "named" and previous not in ("named", "rest"):
                parts.append("*")
            parts.append(str(parameter))
            previous = parameter.kind
        if previous == "positional":
            parts.append("/")
        return ", ".join(parts)


def of_one_call(signature: Signature) -> Signature:
    """The parameters of a function for many calls, as each caller sees them: without their lists."""
    return Signature(
        Parameter(
            parameter.name,
            parameter.kind,
            _item_of(parameter.annotation or ""),
            parameter.required,
            parameter.default,
        )
        for parameter in signature.parameters
    )


def _item_of(annotation: str) -> str | None:
    """What is in a list, in the words of an annotation; None: that is not said."""
    for name in ("list[", "List[", "typing.List[", "Sequence["):
        if annotation.startswith(name) and annotation.endswith("]"):
            return annotation[len(name) : -1]
    return None


def read_signature(function: Callable[..., Any]) -> Signature:
    """The signature of any callable: functions, methods, what decorators and partials make of them.

    Raises:
        TypeError: The parameter that takes the context can be given by position only.
    """
    plain, bound = _unwrap(function)
    code = getattr(plain, "__code__", None)
    if code is None:
        return _read_by_inspection(function)
    annotations = _annotations(plain)
    names = code.co_varnames
    count = code.co_argcount
    defaults = plain.__defaults__ or ()
    named_defaults = plain.__kwdefaults__ or {}
    fields: list[tuple[str, str, bool, Any]] = []
    for index, name in enumerate(names[:count]):
        kind = "positional" if index < code.co_posonlyargcount else "either"
        at = index - (count - len(defaults))
        fields.append((name, kind, at < 0, defaults[at] if at >= 0 else None))
    if bound and fields:
        del fields[0]
    end = count + code.co_kwonlyargcount
    if code.co_flags & CO_VARARGS:
        fields.append((names[end], "rest", False, None))
    for name in names[count:end]:
        fields.append((name, "named", name not in named_defaults, named_defaults.get(name)))
    if code.co_flags & CO_VARKEYWORDS:
        fields.append((names[end + bool(code.co_flags & CO_VARARGS)], "named_rest", False, None))
    return _without_context(fields, annotations, getattr(plain, "__globals__", {}))


def layers(function: Any) -> Iterator[Any]:
    """The callable and all that it wraps: methods, decorators, partials, objects with a call."""
    while True:
        yield function
        if hasattr(function, "__func__"):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "func"):
            function = function.func  # functools.partial
        elif not hasattr(function, "__code__") and hasattr(type(function).__call__, "__code__"):
            function = type(function).__call__
        else:
            return


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of any callable by the names of its parameters, as they stand there."""
    plain, _ = _unwrap(function)
    if getattr(plain, "__code__", None) is not None:
        return _annotations(plain)
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return {}
    return {p.name: p.annotation for p in parameters if p.annotation is not p.empty}


def underlying_names(function: Any) -> dict[str, Any]:
    """The names of the module in which the innermost layer is defined."""
    *_, underlying = layers(function)
    names: dict[str, Any] = getattr(underlying, "__globals__", {})
    return names


def code_flags(function: Any) -> int:
    """The flags of the code of all layers together, such as ``CO_GENERATOR``."""
    flags = 0
    for layer in layers(function):
        code = getattr(layer, "__code__", None)
        flags |= code.co_flags if code is not None else 0
    return flags


def clean_docstring(docstring: str) -> str:
    """A docstring without the indentation that it has in the source (PEP 257)."""
    first, *rest = docstring.expandtabs().splitlines() or [""]
    indents = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    margin = min(indents, default=0)
    return "\n".join([first.strip(), *(line[margin:].rstrip() for line in rest)]).strip()


def _read_by_inspection(function: Callable[..., Any]) -> Signature:
    """The same for what is no plain function: builtins, ``functools.partial``, callable objects."""
    import inspect

    try:
        signature = inspect.signature(function)
    except ValueError:
        # some builtins have no signature to read: let them check their own arguments
        rest = Parameter("args", "rest", None, False)
        return Signature([rest, Parameter("kwargs", "named_rest", None, False)])
    kinds = ("positional", "either", "rest", "named", "named_rest")
    annotations, fields = {}, []
    for name, parameter in signature.parameters.items():
        kind = kinds[parameter.kind]
        has_default = parameter.default is not parameter.empty
        required = not has_default and not kind.endswith("rest")
        fields.append((name, kind, required, parameter.default if has_default else None))
        if parameter.annotation is not parameter.empty:
            annotations[name] = parameter.annotation
    return _without_context(fields, annotations, underlying_names(function))


def _without_context(
    fields: list[tuple[str, str, bool, Any]],
    annotations: dict[str, Any],
    names: dict[str, Any],
) -> Signature:
    parameters: list[Parameter] = []
    context_name = context_index = None
    for name, kind, required, default in fields:
        annotation = annotations.get(name)
        if kind in ("positional", "either", "named") and _is_context(annotation, names):
            if kind == "positional":
                raise TypeError(
                    f"the parameter {name!r} takes the context; it cannot stand before '/'"
                )
            context_name = name
            context_index = len(parameters) if kind == "either" else None
            continue
        parameters.append(Parameter(name, kind, _annotation_text(annotation), required, default))
    return Signature(parameters, context_name, context_index)


def _is_context(annotation: object, names: dict[str, Any]) -> bool:
    """Whether it is ``Context``, or an optional one, as an object or as text."""
    if isinstance(annotation, str):
        outer, bracket, inner = annotation.partition("[")
        if bracket and outer.rpartition(".")[2] == "Optional":
            annotation = inner.rstrip("] ")
        for part in annotation.split("|"):
            first, *rest = part.strip().strip("'\"").split(".")
            value = names.get(first)
            for name in rest:
                value = getattr(value, name, None)
            if value is Context:
                return True
        return False
    return annotation is Context or Context in getattr(annotation, "__args__", ())


def _annotation_text(annotation: object) -> str | None:
    if annotation is None:
        return None
    if type(annotation) is str:
        return cut(annotation)
    if isinstance(annotation, type) and not hasattr(annotation, "__origin__"):
        return cut(class_name(annotation, module=False))
    return _show(annotation).replace("typing.", "")


def _annotations(function: Any) -> dict[str, Any]:
    try:
        annotations: dict[str, Any] = function.__annotations__
    except NameError:
        # Python 3.14 evaluates annotations now; names that only a type checker sees stay text
        import annotationlib  # type: ignore[import-not-found, unused-ignore]

        annotations = annotationlib.get_annotations(function, format=annotationlib.Format.STRING)
    return annotations


def _unwrap(function: Any) -> tuple[Any, bool]:
    """What is below bound methods and decorators, and whether its first parameter is bound."""
    layer, bound = function, False
    for layer in layers(function):
        if hasattr(layer, "__func__"):
            bound = bound or getattr(layer, "__self__", None) is not None
        elif not hasattr(layer, "__wrapped__"):
            break
    return layer, bound

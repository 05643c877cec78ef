"""What a tool is: a function marked ``@tool``, its name, its parameters, how arguments bind.

``inspect.signature`` would be the natural reader of parameters, but importing ``inspect`` costs
as much as starting Python. Plain functions say all that is needed in their code object.
"""

from __future__ import annotations

from .context import Context
from .errors import InvalidParams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeVar, overload

    Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "__bridge_tool__"
_CO_VARARGS, _CO_VARKEYWORDS = 0x04, 0x08
_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200


class ToolOptions:
    """What ``@tool`` was told about a function."""

    __slots__ = ("name", "description", "serial", "stream", "examples")

    def __init__(
        self,
        name: str | None,
        description: str | None,
        serial: bool,
        stream: bool | None = None,
        examples: Sequence[list[Any] | dict[str, Any]] = (),
    ) -> None:
        self.name = name
        self.description = description
        self.serial = serial
        self.stream = stream
        self.examples = examples


if TYPE_CHECKING:

    @overload
    def tool(function: Function) -> Function: ...
    @overload
    def tool(
        *,
        name: str | None = None,
        description: str | None = None,
        serial: bool = False,
        stream: bool | None = None,
        examples: Sequence[list[Any] | dict[str, Any]] = (),
    ) -> Callable[[Function], Function]: ...


def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    serial: bool = False,
    stream: bool | None = None,
    examples: Sequence[list[Any] | dict[str, Any]] = (),
) -> Any:
    """Mark a function or method as a tool. It stays an ordinary function.

    ``name``: what callers call; default: the function's name. ``description``: default: its
    docstring. ``serial``: never run two calls of this tool at once (a waiting one occupies no
    worker). ``stream``: the result is iterated and sent item by item; default: True for
    generators, else False. An ``async def`` runs on the one event loop. ``examples``: arguments to
    try it with, each a list or, by name, a dict; ``bridge check`` calls the tool with them.

    Raises ``TypeError`` if it is applied to what cannot be called, ``ValueError`` for a name
    that begins with ``$/``, which belong to the bridge.
    """
    if name is not None and name.startswith("$/"):
        raise ValueError(f"the tool name {name!r} begins with '$/', which belongs to the bridge")

    def mark(target: Callable[..., Any]) -> Callable[..., Any]:
        inner = target.__func__ if isinstance(target, staticmethod | classmethod) else target
        if not callable(inner) or not hasattr(inner, "__dict__"):
            raise TypeError(f"@tool marks functions, got {target!r}")
        setattr(inner, _MARK, ToolOptions(name, description, serial, stream, examples))
        return target

    return mark if function is None else mark(function)


def tool_options(function: object) -> ToolOptions | None:
    """What ``@tool`` said about this function or method; None if it was not applied."""
    if isinstance(function, staticmethod | classmethod):
        function = function.__func__
    try:
        options = getattr(function, _MARK, None)
    except Exception:
        return None  # a module may hold proxies that answer strangely
    return options if isinstance(options, ToolOptions) else None


class Parameter:
    """One parameter as callers see it. ``kind``: ``positional``, ``either``, ``named``, ``rest``
    (``*args``) or ``named_rest`` (``**kwargs``). ``annotation``: text, None without one."""

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
        return text + (" = " if self.annotation else "=") + repr(self.default)

    def describe(self) -> dict[str, Any]:
        """The parameter as ``$/tools`` shows it. A default that is no scalar is shown as text."""
        plain = self.default is None or isinstance(self.default, bool | int | float | str)
        return {
            "name": self.name,
            "kind": self.kind,
            "annotation": self.annotation,
            "required": self.required,
            "default": self.default if plain else repr(self.default),
        }


class Tool:
    """A function that is served, under its name. Immutable, shared by all workers."""

    def __init__(self, name: str, function: Callable[..., Any], options: ToolOptions) -> None:
        flags = _code_flags(function)
        self.name = options.name or name
        self.description = _clean(options.description or getattr(function, "__doc__", None) or "")
        self.function = function
        self.serial = options.serial
        self.examples = options.examples
        self.is_async = bool(flags & (_CO_COROUTINE | _CO_ASYNC_GENERATOR))
        generator = bool(flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR))
        self.streaming = generator if options.stream is None else options.stream
        parameters, self._context_name, self._context_index = _read_parameters(function)
        #: Has the function a parameter annotated ``Context``?
        self.wants_context = self._context_name is not None
        self.parameters = parameters
        positional = [p for p in parameters if p.kind in ("positional", "either")]
        kinds = {p.kind for p in parameters}
        self._by_name = {p.name for p in parameters if p.kind in ("positional", "either", "named")}
        self._required = {p.name for p in parameters if p.required}
        self._min_positional = sum(p.required for p in positional)
        self._needs_names = any(p.required for p in parameters if p.kind == "named")
        self._max_positional = None if "rest" in kinds else len(positional)
        self._any_name = "named_rest" in kinds
        #: So many arguments by position are surely right; None: that depends.
        self.arity = None if self._needs_names else self._max_positional

    def __repr__(self) -> str:
        return f"<Tool {self.signature}>"

    def calling(self, function: Callable[..., Any]) -> Tool:
        """The same tool, but another function that does its work; its arguments bind as before."""
        tool = Tool.__new__(Tool)
        tool.__dict__.update(self.__dict__)
        tool.function = function
        return tool

    @property
    def signature(self) -> str:
        """The signature as callers see it: ``predict(text: str, top: int = 1)``."""
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
        return f"{self.name}({', '.join(parts)})"

    def describe(self) -> dict[str, Any]:
        """The tool as ``$/tools`` shows it."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": [parameter.describe() for parameter in self.parameters],
            "streaming": self.streaming,
        }

    def bind(self, params: list[Any] | dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments for the function, without its context.

        Raises ``InvalidParams`` naming the parameter that is missing, unknown or too many, and
        the signature.
        """
        if type(params) is list:
            if self._max_positional is not None and len(params) > self._max_positional:
                raise self._refuse(f"takes {self._max_positional} by position, got {len(params)}")
            if len(params) < self._min_positional or self._needs_names:
                self._check_required(self._names_by_position(len(params)))
            return params, {}
        assert isinstance(params, dict)
        names = params.keys()
        if self._context_name in names:
            raise self._refuse(f"unknown argument {self._context_name!r}")
        if not self._any_name and not names <= self._by_name:
            unknown = ", ".join(sorted(repr(name) for name in names - self._by_name))
            raise self._refuse(f"unknown argument {unknown}")
        if not self._required <= names:
            self._check_required(names)
        if self._any_name and not all(type(name) is str for name in names):
            raise self._refuse("names of arguments must be text")
        return self._positional_by_name(params)

    def add_context(self, args: list[Any], kwargs: dict[str, Any], context: Context) -> None:
        """Put the call's context among the bound arguments, where the function expects it."""
        assert self._context_name is not None
        if self._context_index is not None and len(args) >= self._context_index:
            args.insert(self._context_index, context)
        else:
            kwargs[self._context_name] = context

    def _names_by_position(self, count: int) -> set[str]:
        return {p.name for p in self.parameters[:count] if p.kind in ("positional", "either")}

    def _check_required(self, names: Any) -> None:
        missing = [p.name for p in self.parameters if p.required and p.name not in names]
        if missing:
            raise self._refuse(f"missing argument {', '.join(map(repr, missing))}")

    def _positional_by_name(self, params: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        if not self.parameters or self.parameters[0].kind != "positional":
            return [], params
        # parameters before "/" have names for callers, but the function takes them by position
        rest, args, skipped = dict(params), [], None
        for parameter in self.parameters:
            if parameter.kind != "positional":
                break
            if parameter.name not in rest:
                skipped = skipped or parameter.name
            elif skipped:
                raise self._refuse(f"argument {parameter.name!r} needs {skipped!r} before it")
            else:
                args.append(rest.pop(parameter.name))
        return args, rest

    def _refuse(self, what: str) -> InvalidParams:
        return InvalidParams(f"{self.name}: {what}; the tool is {self.signature}", started=False)


def _read_parameters(
    function: Callable[..., Any],
) -> tuple[list[Parameter], str | None, int | None]:
    """The visible parameters, and the name and position of the one that takes the context."""
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
    if code.co_flags & _CO_VARARGS:
        fields.append((names[end], "rest", False, None))
    for name in names[count:end]:
        fields.append((name, "named", name not in named_defaults, named_defaults.get(name)))
    if code.co_flags & _CO_VARKEYWORDS:
        fields.append((names[end + bool(code.co_flags & _CO_VARARGS)], "named_rest", False, None))
    return _without_context(fields, annotations, getattr(plain, "__globals__", {}))


def _read_by_inspection(
    function: Callable[..., Any],
) -> tuple[list[Parameter], str | None, int | None]:
    """The same for what is no plain function: builtins, ``functools.partial``, callable objects."""
    import inspect

    try:
        signature = inspect.signature(function)
    except ValueError:
        # some builtins have no signature to read: let them check their own arguments
        return (
            [
                Parameter("args", "rest", None, False),
                Parameter("kwargs", "named_rest", None, False),
            ],
            None,
            None,
        )
    kinds = ("positional", "either", "rest", "named", "named_rest")
    annotations, fields = {}, []
    for name, parameter in signature.parameters.items():
        kind = kinds[parameter.kind]
        has_default = parameter.default is not parameter.empty
        required = not has_default and not kind.endswith("rest")
        fields.append((name, kind, required, parameter.default if has_default else None))
        if parameter.annotation is not parameter.empty:
            annotations[name] = parameter.annotation
    *_, underlying = _layers(function)
    names = getattr(underlying, "__globals__", {})
    return _without_context(fields, annotations, names)


def _without_context(
    fields: list[tuple[str, str, bool, Any]],
    annotations: dict[str, Any],
    names: dict[str, Any],
) -> tuple[list[Parameter], str | None, int | None]:
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
    return parameters, context_name, context_index


def _is_context(annotation: object, names: dict[str, Any]) -> bool:
    """Is it ``Context``, or an optional one, as an object or as text?"""
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
    if annotation is None or isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type) and not hasattr(annotation, "__origin__"):
        return annotation.__qualname__
    return repr(annotation).replace("typing.", "")


def _annotations(function: Any) -> dict[str, Any]:
    try:
        annotations: dict[str, Any] = function.__annotations__
    except NameError:
        # Python 3.14 evaluates annotations now; names that only a type checker sees stay text
        import annotationlib  # type: ignore[import-not-found, unused-ignore]

        annotations = annotationlib.get_annotations(function, format=annotationlib.Format.STRING)
    return annotations


def _unwrap(function: Any) -> tuple[Any, bool]:
    """What is below bound methods and well-behaved decorators; is its first parameter bound?"""
    bound = False
    while True:
        if hasattr(function, "__func__"):
            bound = bound or getattr(function, "__self__", None) is not None
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            return function, bound


def _layers(function: Any) -> Iterator[Any]:
    """The function and what it wraps: methods, decorators, partials and callable objects."""
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


def _code_flags(function: Any) -> int:
    """What any of the layers is: a generator, a coroutine."""
    flags = 0
    for layer in _layers(function):
        code = getattr(layer, "__code__", None)
        flags |= code.co_flags if code is not None else 0
    return flags


def _clean(docstring: str) -> str:
    """A docstring without the indentation that it has in the source (PEP 257)."""
    first, *rest = docstring.expandtabs().splitlines() or [""]
    indents = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    margin = min(indents, default=0)
    return "\n".join([first.strip(), *(line[margin:].rstrip() for line in rest)]).strip()

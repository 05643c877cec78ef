"""What a tool is: a function that is served, its name, and how arguments bind to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from .annotations import plain_checks
from .context import Context
from .conversions import find_conversion
from .errors import InvalidParams, cut, shorten
from .marking import ToolOptions, tool, tool_options
from .signature import (
    CO_ASYNC_GENERATOR,
    CO_COROUTINE,
    CO_GENERATOR,
    clean_docstring,
    code_flags,
    of_one_call,
    read_signature,
    underlying_names,
)
from .typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

    from .annotations import Checks
    from .signature import Signature

    #: Functions of an adapter, by the class that they are for.
    Functions = Mapping[type, Callable[[Any], Any]]

#: So many unknown arguments are named.
_MAX_SHOWN = 10


__all__ = ["Tool", "ToolOptions", "tool", "tool_options"]


class Tool:
    """A function that is served, under its name. Immutable, shared by all workers.

    ``parameters`` are those that callers see: the one that takes the call's ``Context`` is left
    out, and ``wants_context`` says that there is one. ``arity``: so many arguments by position
    are surely right; None: that depends on them.

    Args:
        name: What callers call, unless ``options`` has a name.
        function: Any callable, bound if it is a method.
        options: What ``@tool`` was told.
        is_async: Whether what it returns is awaited, if that can be; default: whether the
            function, or what it wraps, is an ``async def``.
        validate: What holds where ``options`` do not say it.
        encoders: The adapter's functions that give its types a form, by class; default: none.
        decoders: Those that make arguments of its types, by class; default: none.

    Raises:
        TypeError: The parameter that takes the context can be given by position only; or it is to be
            validated, and an annotation cannot be.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        options: ToolOptions,
        *,
        is_async: bool | None = None,
        validate: bool | None = None,
        encoders: Functions | None = None,
        decoders: Functions | None = None,
    ) -> None:
        flags = code_flags(function)
        self.name: Final = options.name or name
        self.description: Final = cut(
            clean_docstring(options.description or getattr(function, "__doc__", None) or "")
        )
        self.function: Final = function
        self.max_concurrency: Final = options.max_concurrency
        #: Whether no two calls may run at once.
        self.serial: Final = options.max_concurrency == 1
        self.examples: Final = options.examples
        self.interruptible: Final = options.interruptible
        self.idempotent: Final = options.idempotent
        #: For up to so many calls the function is called once; None: for each.
        self.batch: Final = options.batch
        self.wait_s: Final = options.wait_ms / 1000
        #: Where calls are tasks of their own, and what each needs there; None: they are none.
        self.on: Final = options.on
        self.needs: Final = options.needs
        coroutine = bool(flags & (CO_COROUTINE | CO_ASYNC_GENERATOR))
        self.is_async: Final = coroutine if is_async is None else is_async
        generator = bool(flags & (CO_GENERATOR | CO_ASYNC_GENERATOR))
        self.streaming: Final = generator if options.stream is None else options.stream
        self._signature = signature = read_signature(function)
        self._annotated = function
        self._schemas: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._context_name = signature.context_name
        self._context_index = signature.context_index
        self.wants_context: Final = signature.context_name is not None
        if options.batch is not None:
            self._check_batch(signature)
            self._signature = signature = of_one_call(signature)
        self.parameters: Final = signature.parameters
        parameters = signature.parameters
        kinds = {p.kind for p in parameters}
        positional = [p for p in parameters if p.kind in ("positional", "either")]
        named = [p for p in parameters if p.kind in ("positional", "either", "named")]
        self._by_name = frozenset(p.name for p in named)
        self._required = frozenset(p.name for p in parameters if p.required)
        self._min_positional = sum(p.required for p in positional)
        self._needs_names = any(p.required and p.kind == "named" for p in parameters)
        self._max_positional = None if "rest" in kinds else len(positional)
        self._any_name = "named_rest" in kinds
        wanted = validate if options.validate is None else options.validate
        if wanted and options.batch is not None:
            wanted = None  # the class says it; of a batch plain annotations hold
        self.checks: Final = self._checks(wanted, decoders or ())
        self.encoders: Final = encoders or {}
        #: What makes the arguments what their annotations name; None: they are what has come.
        self.conversion: Final = find_conversion(
            self.name, function, signature, decoders or {}, options.writable
        )
        self.arity: Final = None if self._needs_names else self._max_positional

    def _checks(self, validate: bool | None, decoded: Collection[type]) -> Checks | None:
        """What the arguments go through before the function has them; None: they do not."""
        if validate is None:
            return plain_checks(self.name, self._signature, underlying_names(self.function))
        if not validate:
            return None
        try:
            from .annotations.typed import typed_checks
        except ModuleNotFoundError as error:
            if error.name != "msgspec":
                raise
            from .requirements import remedy

            raise TypeError(
                f"{self.name}: validate=True needs msgspec, which is not here: {remedy('typed')}"
            ) from None
        return typed_checks(self.name, self.function, self._signature, decoded)

    def __repr__(self) -> str:
        return f"<Tool {self.signature}>"

    def __setattr__(self, name: str, value: object) -> None:
        if "arity" in vars(self):  # which __init__ sets last
            raise AttributeError(f"a tool does not change: {name!r} cannot be set")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a tool does not change: {name!r} cannot be deleted")

    def _check_batch(self, signature: Signature) -> None:
        kinds = {parameter.kind for parameter in signature.parameters}
        reason = (
            "it has no parameter" if not kinds
            else "it has *args or **kwargs" if kinds & {"rest", "named_rest"}
            else "it takes the context of one call" if self.wants_context
            else "it streams" if self.streaming
            else None
        )  # fmt: skip
        if reason is not None:
            raise TypeError(
                f"{self.name} cannot be called for a batch: {reason}. Each of its parameters is given "
                "a list with the argument of each call, and it returns a list"
            )

    def calling(self, function: Callable[..., Any], **changes: Any) -> Tool:
        """The same tool, but another function that does its work; its arguments bind as before.

        Args:
            function: which.
            changes: Attributes that are others then.
        """
        tool = Tool.__new__(Tool)
        vars(tool).update(vars(self), function=function, **changes)
        return tool

    @property
    def signature(self) -> str:
        """The signature as callers see it: ``predict(text: str, top: int = 1)``."""
        return f"{self.name}({self._signature})"

    def describe(self) -> dict[str, Any]:
        """The tool as ``$/tools`` shows it."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": [parameter.describe() for parameter in self.parameters],
            "streaming": self.streaming,
            "idempotent": self.idempotent,
            "schema": self.schemas[0],
            "returns": self.schemas[1],
        }

    @property
    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON Schema of the arguments by name, and of the result."""
        if not self._schemas:
            from .annotations.schema import tool_schemas

            takes, returns = tool_schemas(self._annotated, self._signature)
            if self.batch is not None:
                parts = {name: part.get("items", {}) for name, part in takes["properties"].items()}
                takes, returns = {**takes, "properties": parts}, returns.get("items", {})
            self._schemas.append((takes, returns))
        return self._schemas[0]

    def bind(self, params: list[Any] | dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of one call, as the function takes them, without its context. Any thread.

        Args:
            params: By position in a list, or by name in a dict.

        Returns:
            Arguments by position, and those by name. One of both may be ``params`` itself.

        Raises:
            InvalidParams: Its message names the parameter that is missing, unknown or too many,
                and the signature.
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
            # no set of them is made: whoever sends them may have made them collide
            unknown = [name for name in params if name not in self._by_name]
            shown = ", ".join(sorted(map(shorten, unknown[:_MAX_SHOWN])))
            more = f" and {len(unknown) - _MAX_SHOWN} more" if len(unknown) > _MAX_SHOWN else ""
            raise self._refuse(f"unknown argument {shown}{more}")
        if not self._required <= names:
            self._check_required(names)
        if self._any_name and not all(type(name) is str for name in names):
            raise self._refuse("names of arguments must be text")
        return self._positional_by_name(params)

    def add_context(self, args: list[Any], kwargs: dict[str, Any], context: Context) -> None:
        """Put the call's context among the bound arguments, where the function expects it.

        Only for a tool that ``wants_context``. ``args`` and ``kwargs`` are changed in place.
        """
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

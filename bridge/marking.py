"""``@tool``: how an author marks a function as a tool, and what the mark says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .errors import cut
from .typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar, overload

    Function = TypeVar(
        "Function",
        bound=Callable[..., Any] | staticmethod[..., Any] | classmethod[Any, ..., Any],
    )

_MARK = "__bridge_tool__"


class ToolOptions:
    """What ``@tool`` was told about a function; ``tool`` says what each means."""

    __slots__ = (
        *("name", "description", "serial", "stream", "examples", "max_concurrency"),
        *("interruptible", "idempotent", "validate", "batch", "wait_ms", "writable"),
        *("on", "needs"),
    )

    def __init__(
        self,
        name: str | None,
        description: str | None,
        serial: bool,
        stream: bool | None = None,
        examples: Sequence[list[Any] | dict[str, Any]] = (),
        max_concurrency: int | None = None,
        interruptible: bool | None = None,
        idempotent: bool = False,
        validate: bool | None = None,
        batch: int | None = None,
        wait_ms: float = 2.0,
        writable: bool = False,
        on: str | None = None,
        needs: dict[str, float] | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.serial = serial
        self.stream = stream
        self.examples = examples
        self.max_concurrency = 1 if serial else max_concurrency
        self.interruptible = interruptible
        self.idempotent = idempotent
        self.validate = validate
        self.batch = batch
        self.wait_ms = wait_ms
        self.writable = writable
        self.on = on
        #: What a task needs, by the names that an engine knows.
        self.needs = needs or {}


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
        max_concurrency: int | None = None,
        interruptible: bool | None = None,
        idempotent: bool = False,
        validate: bool | None = None,
        batch: int | None = None,
        wait_ms: float = 2.0,
        writable: bool = False,
        on: str | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
    ) -> Callable[[Function], Function]: ...


def tool(
    function: Any = None,
    *,
    name: str | None = None,
    description: str | None = None,
    serial: bool = False,
    stream: bool | None = None,
    examples: Sequence[list[Any] | dict[str, Any]] = (),
    max_concurrency: int | None = None,
    interruptible: bool | None = None,
    idempotent: bool = False,
    validate: bool | None = None,
    batch: int | None = None,
    wait_ms: float = 2.0,
    writable: bool = False,
    on: str | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
) -> Any:
    """Mark a function or method as a tool. It stays an ordinary function.

    An ``async def`` runs on the one event loop of the bridge, every other tool on a worker, which
    is a thread of the pool.

    Args:
        function: What is marked, where the decorator stands without parentheses.
        name: What callers call; default: the function's name.
        description: What ``$/tools`` says of it; default: the docstring.
        serial: Never run two calls of this tool at once; a call that waits occupies no worker.
        stream: Iterate over the result and send it item by item; default: True for generators,
            False for everything else.
        examples: Arguments to try the tool with, each a list or, by name, a dict. ``bridge check``
            calls the tool with them.
        max_concurrency: Never run more calls of this tool at once; one that waits occupies no worker.
            Default: None, as many as there are workers. 1 is the same as ``serial``.
        interruptible: Raise ``bridge.Interrupted`` in the tool at once when nobody awaits its result
            any more, wherever its Python code is; ``finally`` and ``with`` run. False: never;
            default: as ``--interrupt-abandoned`` says. Async tools are cancelled in any case.
        idempotent: A call may be run again although it may have begun, as its process was lost. A
            caller with several processes repeats it then; other calls only if they surely never began.
        validate: True: make of each argument what its annotation says, or refuse the call; needs
            the extra ``typed``. Default: as the class says, ``class Tools(Adapter, validate=True)``;
            else plain annotations hold, ``int``, ``str | None``. False: the tool gets what comes.
        batch: Gather up to so many calls, and call the function once for them: for each parameter
            it is given a list with the argument of each call, and it returns a list with the result
            of each, or an exception instead of one. Batches run one after the other, or
            ``max_concurrency`` at once. ``docs/batching.md`` has more.
        wait_ms: How long a call waits at most for others to come, in milliseconds, where a batch
            could begin and the last ones were larger.
        writable: Give the tool copies of the arrays in its arguments, which it may change; default:
            False, they are read-only views of what has arrived.
        on: ``"ray"``: run each call as a task of a cluster of Ray, wherever there is room, in an instance
            of the adapter that is made there. For tools that need no state of this one.
            Default: None, where the rest of the adapter runs. ``docs/scale.md`` has more.
        num_cpus: What Ray reserves for each such call; default: 1.
        num_gpus: The same of GPUs; default: 0.

    Returns:
        The function itself, or a decorator that returns it.

    Raises:
        TypeError: It is applied to what cannot be called, or cannot be marked.
        ValueError: The name is no text, or begins with ``$/``; these belong to the bridge. Or
            ``max_concurrency`` is no whole number from 1 on, or contradicts ``serial``; or ``batch``
            is none, ``wait_ms`` is no time, or neither goes together with what else is asked for.
    """
    if batch is not None:
        _check_batch(batch, wait_ms, interruptible, validate)
    needs = {
        what: value
        for what, value in (("num_cpus", num_cpus), ("num_gpus", num_gpus))
        if value is not None
    }
    if on is not None or needs:
        _check_engine(on, needs, batch)
    if max_concurrency is not None:
        _check_limit(max_concurrency, serial)
    if name is not None and (type(name) is not str or not name or cut(name) != name):
        raise ValueError(f"the name of a tool is text, not empty, got {name!r}")
    if name is not None and name.startswith("$/"):
        raise ValueError(f"the tool name {name!r} begins with '$/', which belongs to the bridge")

    def mark(target: Any) -> Any:
        inner = _below_descriptor(target)
        if not callable(inner) or not hasattr(inner, "__dict__"):
            raise TypeError(f"@tool marks functions, got {target!r}")
        setattr(
            inner,
            _MARK,
            ToolOptions(
                *(name, description, serial, stream, examples, max_concurrency, interruptible),
                *(idempotent, validate, batch, wait_ms, writable, on, needs),
            ),
        )
        return target

    return mark if function is None else mark(function)


def _check_engine(on: object, needs: dict[str, float], batch: object) -> None:
    if on not in ("ray", "processes"):
        what = (
            f"got {on!r}" if on is not None else f"{' and '.join(needs)} is for a tool that has it"
        )
        raise ValueError(f"on must be 'ray' or 'processes'; {what}")
    if batch is not None:
        raise ValueError(
            "a batch is gathered where calls arrive: a tool has on, or batch, and not both"
        )
    for what, value in needs.items():
        if not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise ValueError(f"{what} must be a number, 0 or more; got {value!r}")


def _check_limit(limit: object, serial: bool) -> None:
    if type(limit) is not int or limit < 1:
        raise ValueError(f"max_concurrency must be a whole number, 1 or more; got {limit!r}")
    if serial and limit != 1:
        raise ValueError(f"a serial tool runs one call at a time; max_concurrency is {limit}")


def _check_batch(
    batch: object, wait_ms: object, interruptible: bool | None, validate: bool | None
) -> None:
    if type(batch) is not int or batch < 1:
        raise ValueError(f"batch must be a whole number of calls, 1 or more; got {batch!r}")
    if not isinstance(wait_ms, int | float) or not 0 <= wait_ms <= 60_000:
        raise ValueError(f"wait_ms must be a time from 0 to 60000 milliseconds; got {wait_ms!r}")
    if interruptible:
        raise ValueError("a batch is of many calls, and is not interrupted for one of them")
    if validate:
        raise ValueError(
            "validate=True is for tools that are called once for each call, not for a batch; plain "
            "annotations hold: of list[int] that each call has an int"
        )


def tool_options(function: object) -> ToolOptions | None:
    """What ``@tool`` said about this function or method; None if it was not applied."""
    try:
        options = getattr(_below_descriptor(function), _MARK, None)
    except Exception:
        return None  # a module may hold proxies that answer strangely
    return options if isinstance(options, ToolOptions) else None


def _below_descriptor(target: Any) -> Any:
    """The function, where a class has it as a static or class method."""
    return target.__func__ if isinstance(target, staticmethod | classmethod) else target

"""From ``--adapter`` to an adapter that can be served, or an ``AdapterError`` that says why not."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType

from .adapter import Adapter, bind_tools
from .errors import MAX_ERROR_BYTES, AdapterError, class_name, cut
from .signature import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from .typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tool import Tool

_WORKER_HOOKS = ("setup_worker", "close_worker")
_HOOKS = ("setup", "close", *_WORKER_HOOKS)

#: What runs a hook of an adapter, and waits for it if it is asynchronous.
RunHook = Callable[[Callable[[], Any]], Any]


def run_hook(hook: Callable[[], Any]) -> Any:
    """Run a hook of an adapter on the calling thread, in a loop of its own if it is asynchronous."""
    value = hook()
    if hasattr(value, "__await__"):
        import asyncio

        async def finish() -> Any:
            return await value

        return asyncio.run(finish())
    return value


class LoadedAdapter:
    """An adapter and its tools by name; nothing else knows what kind of object it is.

    Args:
        name: As the user named it, for messages.
        target: The instance, or the module.
        tools: Its tools by the names that callers use.
    """

    def __init__(self, name: str, target: object, tools: dict[str, Tool]) -> None:
        self.name = name
        self.target = target
        self.tools = tools
        #: How many of its calls may run at once, whatever the settings say; None: as they say.
        self.workers: int | None = None
        #: What it adds to the statistics, by name; each is called when they are asked for.
        self.reports: dict[str, Callable[[], Any]] = {}

    @property
    def thread_safe(self) -> bool:
        """Whether it declares, a module by the same name, that its tools may run at once."""
        return bool(getattr(self.target, "__thread_safe__", False))

    def setup(self, run: RunHook = run_hook) -> None:
        """Run the adapter's ``setup()``, if it has one.

        Args:
            run: runs it, and waits for it if it is asynchronous; default: here.

        Raises:
            AdapterError: It raised; the message holds the traceback.
        """
        self.run_step("setup", run)

    def close(self, run: RunHook = run_hook) -> None:
        """Run the adapter's ``close()``, if it has one. What it raises comes through.

        Args:
            run: As for ``setup``.
        """
        close = getattr(self.target, "close", None)
        if callable(close):
            run(close)

    def run_step(self, name: str, run: RunHook, *args: object) -> None:
        """Run a step of the set-up, if the adapter has it. Raises as ``setup``."""
        step = getattr(self.target, name, None)
        if callable(step):
            try:
                run(functools.partial(step, *args))
            except (
                BaseException
            ) as error:  # KeyboardInterrupt too: all of it is the adapter's doing
                raise AdapterError(f"{name}() of {self.name} failed\n{trace_of(error)}") from error

    @property
    def setup_worker(self) -> Callable[[], object] | None:
        """What each thread runs before its first tool; None: nothing."""
        return self._worker_hook("setup_worker")

    @property
    def close_worker(self) -> Callable[[], object] | None:
        """What each thread runs after its last tool; None: nothing."""
        return self._worker_hook("close_worker")

    @property
    def encoders(self) -> Mapping[type, Callable[[Any], Any]]:
        """The functions that give its types a form on the wire."""
        return next(iter(self.tools.values())).encoders

    def _worker_hook(self, name: str) -> Callable[[], object] | None:
        hook = getattr(self.target, name, None)
        does_nothing = getattr(hook, "__func__", None) is getattr(Adapter, name)
        return hook if callable(hook) and not does_nothing else None


def load(
    name: str, app_dir: str | None = None, allow: tuple[str, ...] | None = None
) -> LoadedAdapter:
    """Import and build the adapter called ``name``, on the calling thread.

    Args:
        name: ``package.module:Class``, ``package.module.Class``, or ``package.module`` whose
            functions are tools.
        app_dir: A directory that comes first on ``sys.path``; default: none, and the working
            directory comes last there, where it replaces no module of anybody else.
        allow: The modules of ``--allow``; default: it is not there.

    Raises:
        AdapterError: It cannot be served; the message says why, with the traceback where the
            user's code failed.
    """
    return build(name, with_allowed(name, resolve(name, app_dir), allow))


def with_allowed(name: str, target: object, allow: tuple[str, ...] | None) -> object:
    """The class called ``name`` for the modules of ``--allow``.

    Raises:
        AdapterError: It serves what is marked ``@tool``, and no modules.
    """
    if allow is None:
        return target
    allowing = getattr(target, "allowing", None)
    if not callable(allowing):
        raise AdapterError(
            f"--allow is for bridge.adapters.functions:Functions; {name} serves what is marked @tool"
        )
    made: object = allowing(allow)
    return made


def needs_token(target: object) -> bool:
    """Whether who can call it can do anything, so that strangers must not reach it."""
    return bool(getattr(target, "__needs_token__", False))


def build(name: str, target: object) -> LoadedAdapter:
    """The adapter called ``name``, of what ``resolve`` has found. Raises as ``load``."""
    return adapt(name, create(name, target))


def resolve(name: str, app_dir: str | None = None) -> object:
    """The class or module called ``name``, found as ``load`` finds it.

    Raises:
        AdapterError: There is none, or importing it failed.
    """
    directory = os.path.abspath(app_dir or ".")
    if not os.path.isdir(directory):
        where = "" if app_dir == directory else f": {directory}"
        raise AdapterError(f"--app-dir {app_dir}: there is no such directory{where}")
    if not app_dir:
        if directory not in sys.path:
            sys.path.append(directory)
    elif directory not in sys.path[:1]:
        sys.path.insert(0, directory)
    return _resolve(name, directory)


def create(name: str, target: object) -> object:
    """An instance, if ``target`` is a class, or else ``target`` itself.

    Raises:
        AdapterError: The class raised; the message holds the traceback.
    """
    if not isinstance(target, type):
        return target
    try:
        return target()
    except BaseException as error:
        raise AdapterError(f"{name} could not be created\n{trace_of(error)}") from error


def adapt(name: str, target: object) -> LoadedAdapter:
    """An instance or module as an adapter called ``name``.

    Raises:
        AdapterError: It has no tools, or one that cannot be served.
    """
    try:
        tools = bind_tools(target)
    except (TypeError, ValueError) as error:
        raise AdapterError(f"{name}: {error}") from error
    if not tools:
        raise AdapterError(
            f"{name} has no tools: mark its functions or methods with @tool (from bridge import tool)"
        )
    _check_hooks(name, target)
    return LoadedAdapter(name, target, tools)


def _check_hooks(name: str, target: object) -> None:
    """Refuse hooks whose code would never run, or not where it should."""
    for hook in _HOOKS:
        flags = _flags(getattr(target, hook, None))
        if flags & (CO_GENERATOR | CO_ASYNC_GENERATOR):
            raise AdapterError(
                f"{name}: {hook}() is a generator (it has a yield), so its code would never run: "
                "make it an ordinary function; what is to be done at the end belongs into close()"
            )
        if flags & CO_COROUTINE and hook in _WORKER_HOOKS:
            raise AdapterError(
                f"{name}: {hook}() is an async def, but it prepares the thread that runs it, and a "
                "coroutine would run on the one of the event loop: make it an ordinary function"
            )


def _flags(hook: object) -> int:
    """Of the function itself: what wraps an asynchronous one need not be that."""
    return getattr(getattr(hook, "__code__", None), "co_flags", 0)


def check_workers(adapter: LoadedAdapter, max_workers: int) -> None:
    """Refuse to run an adapter on several workers that does not say it is made for that.

    Raises:
        AdapterError: Its message names the three ways out.
    """
    if adapter.thread_safe or max_workers == 1:
        return
    kind = "module" if isinstance(adapter.target, ModuleType) else "class"
    raise AdapterError(
        f"{adapter.name} does not say that its tools may run at once, but --max-workers is "
        f"{max_workers}. Three ways out:\n"
        f"  1. its tools share no state that they write, or guard it: derive from "
        f"ThreadSafeAdapter, or set __thread_safe__ = True in the {kind};\n"
        f"  2. only some of its tools are unsafe: mark those @tool(serial=True) and do as in 1;\n"
        f"  3. run one call at a time: --max-workers 1."
    )


def _resolve(name: str, directory: str) -> object:
    module_name, colon, attribute = name.partition(":")
    if not all(module_name.split(".")):
        raise AdapterError(
            f"adapter {name}: {module_name!r} is no name of a module; an adapter is named "
            "MODULE:CLASS, MODULE.CLASS or MODULE"
        )
    if colon:
        return _attribute(_import(module_name, name, directory), attribute, name, directory)
    try:
        return _import(name, name, directory)
    except _NoSuchModule:
        parent, dot, attribute = name.rpartition(".")
        if not dot:
            raise
        return _attribute(_import(parent, name, directory), attribute, name, directory)


class _NoSuchModule(AdapterError):
    """The module itself was not found; something that it imports is another matter."""


def _import(module_name: str, name: str, directory: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise _NoSuchModule(
                f"adapter {name}: there is no module {error.name!r} in {directory} or on the "
                "path of this Python; --app-dir names the directory that holds it"
            ) from None
        raise AdapterError(f"adapter {name}: {error}\n{trace_of(error)}") from error
    except BaseException as error:
        raise AdapterError(f"adapter {name} could not be imported\n{trace_of(error)}") from error


def _attribute(module: ModuleType, attribute: str, name: str, directory: str) -> object:
    try:
        target = getattr(module, attribute)
    except AttributeError:
        candidates = [
            key for key, value in vars(module).items()
            # not by isinstance(), which would ask proxies, whose answer may be an exception
            if issubclass(type(value), type) and issubclass(value, Adapter)
            and class_name(value).startswith(f"{module.__name__}.")
        ]  # fmt: skip
        hint = f"; it has {', '.join(candidates)}" if candidates else ""
        raise AdapterError(
            f"adapter {name}: module {module.__name__!r} has no {attribute!r}{hint}"
            f"{_other_module(module, directory)}"
        ) from None
    if not isinstance(target, type | ModuleType):
        raise AdapterError(f"adapter {name}: {attribute!r} is neither a class nor a module")
    return target


def _other_module(module: ModuleType, directory: str) -> str:
    """Where ``module`` is from, if ``directory`` has another one of its name, which came too late."""
    top = module.__name__.partition(".")[0]
    path = getattr(sys.modules.get(top), "__file__", None) or "built into Python"
    own = os.path.join(directory, top)
    if path.startswith(own) or not (os.path.isdir(own) or os.path.isfile(f"{own}.py")):
        return ""
    return f". It is {path}; to have that of {directory} instead, give --app-dir {directory}"


def trace_of(error: BaseException) -> str:
    """The traceback of what code of an adapter has raised, as text. Never raises."""
    import traceback

    try:
        text = "".join(traceback.format_exception(error)).rstrip()
    except BaseException:  # code of its class
        text = class_name(type(error))
    return cut(text, MAX_ERROR_BYTES)

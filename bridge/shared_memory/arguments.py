"""Arguments that lie in shared memory, as the tool gets them.

Bytes and text are copied out, arrays and tables are read-only views of the place: it is free again when
the last of them is gone. When places are short they are copies as well. This runs where the tool runs,
and not on the thread that reads.
"""

from __future__ import annotations

from weakref import finalize

from ..errors import RemoteProtocolError
from ..wire import Shared
from ..wire.lending import decode_shared
from .arena import Arena, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap
    from typing import Any


class Held:
    """What one message has in shared memory, as long as somebody needs it.

    Args:
        arena: Whose place it is.
        place: Where it is; it belongs to this object.
    """

    __slots__ = ("_arena", "_place", "_map", "__weakref__")

    def __init__(self, arena: Arena, place: Place) -> None:
        self._arena, self._place = arena, place
        self._map: mmap | None = None

    def __del__(self) -> None:
        self._arena.drop(self._place)

    def copy(self, offset: int, size: int) -> bytes:
        """A copy of some of its bytes."""
        return self._place.file.read(self._place.offset + offset, size)

    def view(self, offset: int, size: int) -> memoryview | bytes:
        """Some of its bytes where they are; a copy of them if places are short, or nothing can be mapped."""
        if self._arena.is_short:
            return self.copy(offset, size)
        mapped = self._map
        if mapped is None:
            try:
                mapped = self._map = self._place.file.map(self._place.offset, self._place.size)
            except (OSError, ImportError):  # no address space, too many mappings; no module
                return self.copy(offset, size)
        return memoryview(mapped)[offset : offset + size]

    def end(self) -> None:
        """Nothing more is made of it: only what was made holds the place from now on."""
        mapped, self._map = self._map, None
        if mapped is not None:
            # not of a memoryview: NumPy makes one of its own, and lets go of the one that it was given
            finalize(mapped, _let_go, [self]).atexit = False


def _let_go(held: list[Held]) -> None:
    held.clear()


def materialize(value: Any, held: Held) -> Any:
    """A value in which nothing lies in shared memory any more but what was made of it.

    Args:
        value: Plain lists and maps, which are changed, and ``Shared`` values in them.
        held: Where these are.

    Raises:
        RemoteProtocolError: One is malformed, or a package is missing that it needs, or memory.
    """
    outermost = [value]
    todo: list[Any] = [outermost]
    try:
        while todo:
            container = todo.pop()
            if type(container) is dict:
                if any(type(key) is Shared for key in container):
                    raise RemoteProtocolError("the key of a map cannot lie in shared memory")
                places: Any = list(container)
            else:
                places = range(len(container))
            for place in places:
                item = container[place]
                if type(item) is Shared:
                    container[place] = decode_shared(item, held.copy, held.view)
                elif type(item) is list or type(item) is dict:
                    todo.append(item)
    except MemoryError:
        raise RemoteProtocolError(
            "no memory to read what is in shared memory", code="resource_exhausted"
        ) from None
    finally:
        held.end()
    return outermost[0]


class LentArguments:
    """Makes the tool of one call, which alone keeps what the call has in shared memory from then on.

    Args:
        held: What it has there.
    """

    __slots__ = ("_held",)

    def __init__(self, held: Held) -> None:
        self._held: Held | None = held

    def __call__(self, tool: Any) -> LentTool:
        held, self._held = self._held, None
        return LentTool(held, tool)


class LentTool:
    """A tool in the place of itself for one call, whose arguments lie in shared memory.

    Args:
        held: Where they are.
        tool: What ``execute`` calls.
    """

    __slots__ = ("name", "deferred", "_function", "_held")

    def __init__(self, held: Held | None, tool: Any) -> None:
        self.name: str = tool.name
        self.deferred: bool = tool.deferred
        self._function: Callable[..., Any] = tool.function
        self._held = held

    def function(self, *args: Any, **kwargs: Any) -> Any:
        """Call the tool with what its arguments are."""
        held, self._held = self._held, None
        if held is not None:
            try:
                args, kwargs = materialize([list(args), kwargs], held)
            except RemoteProtocolError as error:
                raise error.to_call_error() from None
            del held  # before the tool runs: its result may need the place
        return self._function(*args, **kwargs)

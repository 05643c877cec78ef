"""Tools that return, raise and say what careless or broken classes can bring about."""

from __future__ import annotations

import enum
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from itertools import count
from typing import Any

from bridge import CallError, Context, ThreadSafeAdapter, current_context, tool


class Color(enum.Enum):
    RED = "red"


class BrokenRepr:
    def __repr__(self) -> str:
        raise ValueError("no words")


class Leaving:
    """Whatever is asked of it ends the process."""

    def __repr__(self) -> str:
        raise SystemExit(3)

    def model_dump(self) -> Any:
        raise SystemExit(4)


class LeavingText(Exception):
    def __str__(self) -> str:
        raise SystemExit(5)


class Nameless(type):
    """A metaclass that hides the name of its classes."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__module__", "__qualname__", "__name__"):
            raise AttributeError(name)
        return super().__getattribute__(name)


class Hidden(metaclass=Nameless):
    pass


class HiddenError(Exception, metaclass=Nameless):
    pass


class Talking:
    """Logs, and reports, while it is made plain."""

    def model_dump(self) -> Any:
        logging.getLogger("hostile").warning("made plain")
        with suppress(LookupError):
            current_context().progress(1, 2, "made plain")
        return {"plain": True}


class Endless:
    """Becomes another one of its kind for ever."""

    def model_dump(self) -> Any:
        return OtherEndless()


class OtherEndless:
    def model_dump(self) -> Any:
        return Endless()


class EndlessMapping(Mapping[int, int]):
    """Says that it has two items."""

    def __getitem__(self, key: int) -> int:
        return key

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[int]:
        return count()


class Changing:
    """Takes what is beside it away while it is made plain."""

    def __init__(self) -> None:
        self.beside: list[Any] = [self, 2, 3]

    def model_dump(self) -> Any:
        self.beside.clear()
        return 1


class ClosedError(Exception):
    """Asks to be left alone."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


class UncodedError(CallError):
    code = "no such code"


def _uncheckable() -> CallError:
    fields: dict[str, Any] = {"type": 4, "traceback": "text", "started": "no", "details": [5]}
    return CallError("x", **fields)


def _circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


#: Values of which something has no form on the wire, or breaks while one is looked for.
VALUES: dict[str, Callable[[], Any]] = {
    "broken repr": BrokenRepr,
    "broken repr as a key": lambda: {BrokenRepr(): 1},
    "leaving": Leaving,
    "leaving as a key": lambda: {Leaving(): 1},
    "deep": lambda: [{"a": [Leaving()]}],
    "hidden": Hidden,
    "hidden class": lambda: [Hidden, BrokenRepr],
    "circle": _circle,
    "huge integer": lambda: [10**6000],
    "huge integer as a key": lambda: {10**6000: object()},
    "talking": Talking,
    "talking between others": lambda: [1, {"a": Talking()}, "x" * 100],
    "endless": Endless,
    "endless mapping": EndlessMapping,
    "changing": lambda: Changing().beside,
    "half a character": lambda: "caf\udce9",
    "half a character as a key": lambda: {"caf\udce9": 1},
}
#: Dicts of which a reader finds fewer entries, and how many there are.
COLLIDING: dict[str, Callable[[], Any]] = {
    "enum": lambda: {Color.RED: 1, "red": 2},
    "date": lambda: {date(2024, 1, 1): 1, "2024-01-01": 2},
    "frozen set": lambda: {frozenset([1]): 1, (1,): 2},
    "in a tuple": lambda: {(Color.RED,): 1, ("red",): 2},
}
EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "leaving text": lambda: LeavingText("x"),
    "hidden": lambda: HiddenError("x"),
    "exit": lambda: SystemExit(6),
    "huge integer": lambda: ValueError(10**6000),
    "half a character": lambda: ValueError("caf\udce9"),
    "nothing": lambda: CallError("", details={}),
    "closed": ClosedError,
    "no code": lambda: UncodedError("x"),
    "of other types": _uncheckable,
}


class Tools(ThreadSafeAdapter):
    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def returns(self, kind: str) -> Any:
        return VALUES[kind]()

    @tool
    def returns_colliding(self, kind: str) -> Any:
        return COLLIDING[kind]()

    @tool
    def yields(self, kind: str) -> Iterator[Any]:
        yield 1
        yield VALUES[kind]()

    @tool
    def raises(self, kind: str) -> None:
        raise EXCEPTIONS[kind]()

    @tool
    def turns(self, kind: str | None) -> None:
        """Quick, until it raises."""
        if kind is not None:
            raise EXCEPTIONS[kind]()

    @tool
    def tells(self, kind: str) -> None:
        raise CallError("told", code="aborted", details={"value": VALUES[kind](), "good": 1})

    @tool
    def logs(self, kind: str, ctx: Context) -> str:
        ctx.log("error", f"line about {kind}", value=VALUES[kind](), good=1)
        logging.getLogger("hostile").error("plain line about %s", kind)
        return "logged"

    @tool
    def counts(self, stop: int) -> Iterator[int]:
        yield from range(stop)

    @tool
    def sleeps(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @tool
    def switches_after(self, seconds: float) -> None:
        """Have Python switch between threads so often."""
        sys.setswitchinterval(seconds)

    @tool
    def reports_from_a_thread(self, ctx: Context) -> str:
        """Its thread goes on while the answer is given."""
        going = threading.Event()

        def report() -> None:
            going.set()
            for step in range(60):
                ctx.progress(step)

        threading.Thread(target=report).start()
        going.wait()
        return "done"

    @tool
    def has_no_more_threads(self) -> None:
        """As under a limit of pids: no stack of this size can be had."""
        threading.stack_size(1 << 46)

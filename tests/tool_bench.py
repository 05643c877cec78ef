"""Tools on a dispatcher in this process, and a peer that records what is sent to it."""

from __future__ import annotations

import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

from bridge.adapter import bind_tools
from bridge.calls.call import Call
from bridge.calls.dispatcher import Dispatcher
from bridge.calls.interfaces import Output, Peer, Sink
from bridge.calls.interrupter import Interrupter
from bridge.calls.pool import Pool
from bridge.errors import CallError, EncodeError
from bridge.wire.messages import CallOptions, Request

from .waiting import WAIT_S, wait_until

ENDLESS = (1 << 40, 1 << 40)

_ends: list[weakref.finalize[..., Any]] = []


def end_benches() -> None:
    """End the threads of all benches, of which a test may have made hundreds."""
    while _ends:
        _ends.pop()()


class Unencodable:
    """A value that no peer can encode."""


class RecordingPeer(Peer):
    """Keeps what it is sent. ``events``: what was sent, ``(kind, key, *rest)``, in order.

    ``credit``: how many items it takes before ``grant``; None: all of them.
    """

    def __init__(self, credit: int | None = None) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.changed = threading.Condition()
        self._credit = credit

    def send_result(self, key: int, result: Any) -> None:
        self._refuse_unencodable(result)
        self.record("result", key, result)

    def send_error(self, key: int, error: CallError) -> None:
        self.record("error", key, error)

    def open_stream(self, call: Call) -> RecordingSink:
        return RecordingSink(self, call)

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        self.record("progress", key, done, total, text)

    def send_log(self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None) -> bool:  # fmt: skip
        self.record("log", key, level, logger, text, fields)
        return True

    def record(self, *event: Any) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def grant(self, items: int) -> None:
        """Take so many more items."""
        with self.changed:
            assert self._credit is not None
            self._credit += items
            self.changed.notify_all()

    def take_credit(self, call: Call) -> None:
        with self.changed:
            while self._credit == 0 and call.interruption is None:
                self.changed.wait(WAIT_S)
            if self._credit:
                self._credit -= 1

    def of(self, kind: str, key: int) -> list[Any]:
        """What was sent of one kind under a key: the third part of each event."""
        with self.changed:
            return [event[2] for event in self.events if event[:2] == (kind, key)]

    def answers(self, key: int) -> list[Any]:
        """All answers under a key; there should be one."""
        with self.changed:
            return [e[2] for e in self.events if e[0] in ("result", "error") and e[1] == key]

    def answer(self, key: int) -> Any:
        """The one answer under a key, which may be on its way."""
        with self.changed:
            came = self.changed.wait_for(lambda: self.answers_unlocked(key), WAIT_S)
            assert came, f"call {key} was not answered"
            (answer,) = self.answers_unlocked(key)
        return answer

    def answers_unlocked(self, key: int) -> list[Any]:
        return [e[2] for e in self.events if e[0] in ("result", "error") and e[1] == key]

    def _refuse_unencodable(self, value: Any) -> None:
        if isinstance(value, Unencodable):
            raise EncodeError("a value of type Unencodable cannot be sent")


class RecordingSink(Sink):
    """The items of one call of a ``RecordingPeer``."""

    def __init__(self, peer: RecordingPeer, call: Call) -> None:
        self._peer = peer
        self._call = call

    def wait(self) -> None:
        self._peer.take_credit(self._call)

    def send(self, item: Any) -> None:
        self._peer._refuse_unencodable(item)
        self._peer.record("item", self._call.key, item)


class Bench:
    """Functions marked ``@tool``, a dispatcher that serves them, and a peer. Keys count from 1.

    ``max_async``: as of the dispatcher.
    """

    max_async = 0

    def __init__(
        self,
        *functions: Callable[..., Any],
        max_workers: int = 2,
        max_queue: int = 100,
        peer: RecordingPeer | None = None,
        elixir: Any = None,
        output: Output | None = None,
        pool: Pool | None = None,
        interrupter: Interrupter | None = None,
    ) -> None:
        module = types.ModuleType("bench_tools")
        for number, function in enumerate(functions):
            setattr(module, getattr(function, "__name__", f"tool_{number}"), function)
        self.peer = peer or RecordingPeer()
        self.pool = pool or Pool(max_workers, max_queue, output)
        self.dispatcher = Dispatcher(
            bind_tools(module),
            self.pool,
            elixir=elixir,
            interrupter=interrupter,
            max_async=self.max_async,
        )
        self._last_key = 0
        _ends.append(weakref.finalize(self, self.pool.close))

    def start(self, name: str, *args: Any, key: int | None = None, **options: Any) -> int:
        """Dispatch a call with arguments by position; ``options`` of ``CallOptions``."""
        return self.request(name, list(args), key, CallOptions(**options) if options else None)

    def request(self, name: str, params: Any, key: int | None, options: CallOptions | None) -> int:
        if key is None:
            self._last_key = key = self._last_key + 1
        self.dispatcher.dispatch(Request(key, name, params, options), self.peer)
        return key

    def stream(self, name: str, *args: Any, **options: Any) -> int:
        """Dispatch a streaming call."""
        return self.start(name, *args, credit=ENDLESS, **options)

    def start_to_expire(self, name: str, started: threading.Event, **options: Any) -> int:
        """Dispatch a call whose deadline passes soon, but not before the tool has ``started``."""
        for timeout_s in (0.02, 0.2, 2.0, WAIT_S):
            key = self.start(name, timeout_s=timeout_s, **options)
            # a coroutine may be cancelled before its first step, although its call has started
            wait_until(
                lambda key=key: (
                    started.is_set()
                    or (self.peer.answers(key) and self.dispatcher.wait_until_idle(0))
                ),
                "start or end",
            )
            if started.is_set():
                return key
        raise AssertionError("the tool does not start")

    def result(self, key: int) -> Any:
        """The result of a call; fails if it was answered with an error."""
        answer = self.peer.answer(key)
        assert not isinstance(answer, CallError), (answer.to_wire(), answer.traceback)
        return answer

    def error(self, key: int) -> CallError:
        """The error of a call; fails if it was answered with a result."""
        answer = self.peer.answer(key)
        assert isinstance(answer, CallError), answer
        return answer

    def settle(self) -> None:
        """Wait until no worker runs anything and all is counted."""
        # whoever ends a call in the place of its worker may not have sent the answer yet
        wait_until(self.dispatcher._activity.is_finished, "all answers")
        assert self.dispatcher.wait_until_idle(WAIT_S)

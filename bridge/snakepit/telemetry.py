"""Events of the process, for whoever has opened ``StreamTelemetry``: calls, and what adapters tell.

An adapter tells with ``snakepit_bridge.telemetry``, of Snakepit's own Python files: ``emit`` and
``span`` there hand events to a backend, and this one takes them. Elixir says which it wants.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from queue import SimpleQueue
from typing import Any

from .._generated import snakepit_bridge_pb2 as pb

#: Events that wait for Elixir, or for it to ask; more are dropped, as Snakepit's worker does.
_MAX_EVENTS = 1024
_MODULE = "snakepit_bridge.telemetry"


class Telemetry:
    """Takes events and sends them on. Any thread may use it; nothing here raises or blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._enabled = True
        #: How many of all events, and of those that match.
        self._rates: list[tuple[str, float]] = []
        self._allowed: list[str] = []
        self._denied: list[str] = []
        #: What was told before anybody asked.
        self._early: deque[Any] = deque()
        self._streams: list[SimpleQueue[Any]] = []
        self._closed = False
        self._attached: Any = None
        self.dropped = 0

    @property
    def asked_for(self) -> bool:
        """Whether somebody takes events now."""
        return bool(self._streams) and self._enabled

    # -- what adapters tell -----------------------------------------------------------------

    def attach(self) -> Any:
        """Be the backend of Snakepit's module, once an adapter has imported it.

        Returns:
            The module; None: nobody has imported it.
        """
        module = sys.modules.get(_MODULE)
        if module is not None and module is not self._attached:
            # one that is just being imported has it later
            set_backend = getattr(module, "set_backend", None)
            if set_backend is not None:
                set_backend(self)
                self._attached = module
        return self._attached

    def correlate(self, correlation_id: str | None) -> None:
        """Have ``snakepit_bridge.telemetry.get_correlation_id()`` tell the call's, in its context."""
        module = self.attach()
        if module is not None and correlation_id:
            module.set_correlation_id(correlation_id)

    def emit(
        self,
        event_name: str,
        measurements: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Tell of an event; the backend's method.

        Args:
            event_name: its parts, joined with dots.
            measurements: numbers, by name.
            metadata: further facts, as text, by name.
            correlation_id: of the call that it belongs to.
        """
        try:
            if self._closed or not self._wants(event_name):
                return
            self._put(_message(event_name, measurements, metadata or {}, correlation_id))
        except Exception:
            self.dropped += 1  # what it was told can be no event; a tool does not fail by it

    # -- what Elixir asks -------------------------------------------------------------------

    def stream(self, controls: Iterator[Any], context: Any) -> Iterator[Any]:
        """The behavior of ``StreamTelemetry``: events, until either side ends it."""
        events: SimpleQueue[Any] = SimpleQueue()
        if not context.add_callback(lambda: events.put(None)):
            return
        # Elixir waits for headers
        context.send_initial_metadata(())
        threading.Thread(
            target=self._follow, args=(controls,), name="bridge-telemetry", daemon=True
        ).start()
        self.attach()
        with self._lock:
            while self._early:
                events.put(self._early.popleft())
            self._streams.append(events)
            if self._closed:
                events.put(None)
        try:
            while (event := events.get()) is not None:
                yield event
        finally:
            with self._lock:
                self._streams.remove(events)

    def control(self, message: Any) -> None:
        """Do as a ``TelemetryControl`` says, from now on."""
        kind = message.WhichOneof("control")
        if kind == "toggle":
            self._enabled = message.toggle.enabled
        elif kind == "sampling":
            rate = max(0.0, min(1.0, message.sampling.sampling_rate))
            self._rates = [(name, rate) for name in message.sampling.event_patterns or ["*"]]
        elif kind == "filter":
            self._allowed = list(message.filter.allow)
            self._denied = list(message.filter.deny)

    def close(self) -> None:
        """End all streams; nothing is told any more."""
        with self._lock:
            self._closed = True
            for events in self._streams:
                events.put(None)

    # -- parts ------------------------------------------------------------------------------

    def _follow(self, controls: Iterator[Any]) -> None:
        try:
            for message in controls:
                self.control(message)
        except Exception:
            pass  # the stream has ended

    def _wants(self, name: str) -> bool:
        if not self._enabled or _matches(name, self._denied):
            return False
        if self._allowed and not _matches(name, self._allowed):
            return False
        for pattern, rate in self._rates:
            if fnmatchcase(name, pattern):
                return random.random() < rate
        return True

    def _put(self, message: Any) -> None:
        with self._lock:
            if not self._streams:
                if len(self._early) < _MAX_EVENTS:
                    self._early.append(message)
                else:
                    self.dropped += 1
            for events in self._streams:
                if events.qsize() < _MAX_EVENTS:
                    events.put(message)
                else:
                    self.dropped += 1


class CallEvents:
    """Tells of one call: that it begins, and how it ends. For ``with``, on the call's thread.

    The names and measurements are those that Elixir has a catalogue of
    (``lib/snakepit/telemetry/naming.ex``). Nothing is told while nobody asks.
    """

    def __init__(self, telemetry: Telemetry, tool: str, correlation_id: str | None) -> None:
        self._telemetry = telemetry
        self._metadata = {"tool": tool}
        self._correlation_id = correlation_id
        self._began = 0

    def __enter__(self) -> None:
        if self._telemetry.asked_for:
            self._began = time.monotonic_ns()
            self._tell("start", {"system_time": time.time_ns()}, {})

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._began:
            return
        duration = {"duration": time.monotonic_ns() - self._began}
        if error is None:
            self._tell("stop", duration, {})
        else:
            name = (getattr(error, "type", None) or type(error).__name__).rpartition(".")[2]
            self._tell("exception", duration, {"error_type": name, "error_message": str(error)})

    def _tell(self, what: str, measurements: dict[str, int], facts: dict[str, str]) -> None:
        self._telemetry.emit(
            f"python.call.{what}",
            {"count": 1, **measurements},
            {**self._metadata, **facts},
            self._correlation_id,
        )


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _message(
    name: str,
    measurements: Mapping[str, Any],
    metadata: Mapping[str, Any],
    correlation_id: str | None,
) -> Any:
    event = pb.TelemetryEvent(
        event_parts=name.split("."),
        timestamp_ns=time.time_ns(),
        correlation_id=correlation_id or "",
    )
    for key, value in measurements.items():
        field = event.measurements[key]
        if isinstance(value, int):
            field.int_value = int(value)
        elif isinstance(value, float):
            field.float_value = value
        else:
            field.string_value = str(value)
    for key, value in metadata.items():
        event.metadata[str(key)] = str(value)
    return event

"""What the peer says that it takes: the parameter of ``$/hello``."""

from __future__ import annotations

from ..errors import RemoteProtocolError, shorten
from .extensions import SHARED, TABLE

#: A peer that takes less could not even read an error.
_LEAST_ANSWER_BYTES = 1024


class Hello:
    """What a peer takes. One that has said nothing takes what every version sends.

    Args:
        max_answer_bytes: The longest message to it; default: None, what ``--max-answer-bytes`` says.
        signals: Whether it decides what a SIGTERM means, which reached this process; default: False.
        requests: Whether it answers requests; default: False.
        plain_streams: Whether tools that do not yield may be called as streams; default: True.
        batches: Whether many frames may come as one; default: False.
        extensions: Extension types that it takes beside those of protocol 1 in its first version,
            -1, 1 and 2; default: none.
        types: Names of classes whose objects it wants to have with the name; default: none.
        queue_times: Whether results tell how long their calls have waited; default: False.
    """

    __slots__ = (
        *("max_answer_bytes", "signals", "requests", "plain_streams", "batches"),
        *("extensions", "types", "queue_times"),
    )

    def __init__(
        self,
        max_answer_bytes: int | None = None,
        signals: bool = False,
        requests: bool = False,
        plain_streams: bool = True,
        batches: bool = False,
        extensions: frozenset[int] = frozenset(),
        types: frozenset[str] = frozenset(),
        queue_times: bool = False,
    ) -> None:
        self.max_answer_bytes = max_answer_bytes
        self.signals = signals
        self.requests = requests
        self.plain_streams = plain_streams
        self.batches = batches
        self.extensions = extensions
        self.types = types
        self.queue_times = queue_times

    @classmethod
    def from_wire(cls, wire: object) -> Hello:
        """What the map says. Keys that this version does not know are ignored.

        Raises:
            RemoteProtocolError: It is no map, or what it says is malformed; named.
        """
        if not isinstance(wire, dict):
            raise RemoteProtocolError(f"$/hello takes [map], got {shorten(wire)}")
        limit = wire.get("max_answer_bytes")
        if limit is not None and (type(limit) is not int or limit < _LEAST_ANSWER_BYTES):
            raise RemoteProtocolError(
                f"$/hello: max_answer_bytes must be an integer, {_LEAST_ANSWER_BYTES} or more, "
                f"got {shorten(limit)}"
            )
        return cls(
            limit,
            _boolean(wire, "signals"),
            _boolean(wire, "requests"),
            _boolean(wire, "plain_streams", default=True),
            _boolean(wire, "batches"),
            _extensions(wire.get("extensions", [])),
            _types(wire.get("types", [])),
            _boolean(wire, "queue_times"),
        )


def _types(names: object) -> frozenset[str]:
    if not isinstance(names, list) or not all(type(name) is str for name in names):
        raise RemoteProtocolError(f"$/hello: types must be a list of text, got {shorten(names)}")
    return frozenset(names)


def _extensions(codes: object) -> frozenset[int]:
    if not isinstance(codes, list) or not all(type(code) is int for code in codes):
        raise RemoteProtocolError(
            f"$/hello: extensions must be a list of integers, got {shorten(codes)}"
        )
    # one that this version does not know is never sent
    return frozenset(code for code in codes if code in (TABLE, SHARED))


def _boolean(wire: dict[object, object], key: str, *, default: bool = False) -> bool:
    value = wire.get(key, default)
    if type(value) is not bool:
        raise RemoteProtocolError(f"$/hello: {key} must be a boolean, got {shorten(value)}")
    return value

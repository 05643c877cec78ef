"""Requests that are no good against a bridge that serves gRPC, with good ones between them.

Every call must end with a status that ``protos/bridge.proto`` gives it, every good one rightly;
the process must live, have no call left over, and end with 0.
"""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from bridge._generated import bridge_pb2 as pb
from bridge.wire.codec import Encoder, decode_value
from tests.equality import deep_equal
from tests.integration.grpc_peer import SERVICE, GrpcPeer

from .live_bridge import Finding
from .mutations import mutant

_ROOT = str(Path(__file__).parents[3])
#: Calls under way at the same time.
_WINDOW = 64
_PATIENCE_S = 30.0
_GOOD: list[Any] = [None, 42, 2**80, "text", b"\xff", [1, {"a": [2]}], {"k": 0.5}]
#: What a request that is no good may end with. INTERNAL: the tool failed, or gRPC could not parse.
_STATUSES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "RESOURCE_EXHAUSTED"}


def request(random: Random) -> bytes:
    """A request with something wrong in it, or about it."""
    kind = random.random()
    if kind < 0.15:
        return random.randbytes(random.randrange(60))
    tool = random.choice(
        ["echo", "on_worker", "alone", "count", "fail", "ecko", "", "\0", "x" * 300]
    )
    message = pb.CallRequest(tool=tool, session=random.choice(["", "s", "ü" * 100]))
    if kind < 0.75:
        # arrays and maps are the most interesting, and a message is an array
        message.params.msgpack = random.choice([b"", b"\x91", b"\x81\xa5value"]) + mutant(random)
    elif kind < 0.85:
        value = message.params.json
        for _ in range(random.choice([0, 1, 5, 40, 90])):
            value = value.list_value.values.add()
        value.number_value = random.choice([0.5, 1e308, float("nan"), float("-inf")])
    data = message.SerializeToString()
    if kind < 0.3:
        at = random.randrange(len(data) + 1)
        data = data[:at] + random.randbytes(random.randrange(4)) + data[at + 1 :]
    return data


def run(
    seed: int,
    *,
    statuses: Counter[str],
    calls: int | None = None,
    seconds: float | None = None,
    progress: Callable[[object], object] = lambda figures: None,
) -> None:
    """Call until there were so many, or for so long. Counts the ``statuses``. Raises ``Finding``."""
    random, began = Random(seed), time.monotonic()
    with (
        _interrupt_between_calls() as interrupted,
        GrpcPeer(
            "--adapter", "scripts.stress.fuzz.adapter:Tools", "--max-workers", "4", cwd=_ROOT
        ) as peer,
    ):
        unary = peer.unary("Call", pb.CallResponse).future
        stream = _streaming(peer)
        under_way: deque[tuple[Any, bool, bytes, Any]] = deque()
        number = 0

        def go_on() -> bool:
            in_time = seconds is None or time.monotonic() - began < seconds
            return not interrupted and in_time and (calls is None or number < calls)

        while under_way or go_on():
            while len(under_way) < _WINDOW and go_on():
                number += 1
                if number % 10 == 0:
                    value = _GOOD[number // 10 % len(_GOOD)]
                    message = pb.CallRequest(tool=random.choice(["echo", "alone"]))
                    message.params.msgpack = Encoder().value([value])
                    data, expected = message.SerializeToString(), (value,)
                else:
                    data, expected = request(random), None
                streams = expected is None and number % 3 == 0
                rpc = (stream if streams else unary)(data, timeout=_PATIENCE_S)
                under_way.append((rpc, streams, data, expected))
            statuses[_end_of(*under_way.popleft())] += 1
            if number % 200 == 0:
                progress(f"{number:,} calls, {dict(statuses)}")
        stats = peer.call("$/stats")
        if stats["in_flight"] or stats["status"] != "serving":
            raise Finding(f"something is left over: {stats['in_flight']} calls")
        peer.close()
        code = peer.wait(_PATIENCE_S)
        if code or "Traceback (most recent call last)" in peer.stderr:
            raise Finding(f"ended with {code}; stderr: {peer.stderr[-2000:]}")


@contextmanager
def _interrupt_between_calls() -> Iterator[list[int]]:
    """Ctrl-C fills the list, and is raised at the end: gRPC's client may hang if it is at once."""
    interrupted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupted.append(number))
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt


def replay(requests: list[bytes]) -> None:
    """Make these calls, in both ways. Raises ``Finding``."""
    with GrpcPeer("--adapter", "scripts.stress.fuzz.adapter:Tools", cwd=_ROOT) as peer:
        for data in requests:
            rpc = peer.unary("Call", pb.CallResponse).future(data, timeout=_PATIENCE_S)
            _end_of(rpc, False, data, None)
            stream = _streaming(peer)(data, timeout=_PATIENCE_S)
            _end_of(stream, True, data, None)


def _streaming(peer: GrpcPeer) -> Any:
    return peer.channel.unary_stream(
        f"/{SERVICE}/CallStream", response_deserializer=pb.StreamResponse.FromString
    )


def _end_of(rpc: Any, streams: bool, data: bytes, expected: tuple[Any] | None) -> str:
    """The name of the status of a call. Raises ``Finding`` if it is not what it must be."""
    result: Any = None
    try:
        if streams:
            for _ in rpc:
                pass
        else:
            result = rpc.result().result
    except grpc.RpcError:
        pass
    except DecodeError as error:
        raise Finding(f"an answer that is none: {error}", [data]) from error
    status = rpc.code().name
    if expected is not None:
        if status != "OK" or not deep_equal(decode_value(result.msgpack), expected[0]):
            raise Finding(f"{expected[0]!r} came back with {status} as {result}", [data])
    elif status not in _STATUSES:
        raise Finding(f"status {status}: {rpc.details()}", [data])
    return status

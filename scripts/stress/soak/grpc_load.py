"""The client over gRPC: callers on threads, over several channels, in a process of their own."""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from bridge._generated import bridge_pb2 as pb
from bridge.wire.codec import Encoder, decode_value

from .ledger import Ledger
from .mix import AFTER, Mix, Shot
from .phases import ALONE, QUIET, Phases
from .stdio_load import say

_SERVICE = "/bridge.v1.Bridge/"
_CHANNELS, _CALLERS = 4, 24
#: One call in flight for each caller, and now and then more.
_BURSTS = (1,) * 30 + (8, 64)
_FLOOD = 64
#: Requests that begin and do not go on, at any time, and what they ask for.
_HALF_OPEN = 40
_HALF_OPEN_METHODS = (
    *(_SERVICE + name for name in ("Call", "CallStream", "ListTools", "GetStats")),
    *(f"/grpc.health.v1.Health/{name}" for name in ("Check", "Watch")),
)
#: What the bridge may have for its own answers, and how long it takes until it has them.
_CONTROL_THREADS, _WARM_UP_S = 64, 0.5
#: Without an answer for so long, there will be none.
_PATIENCE_S = 20.0
_REPORT_S = 0.5
_MOMENT_S = 0.01
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # a connection for each channel, not one for all
    ("grpc.use_local_subchannel_pool", 1),
    # an error shall be seen, not mended
    ("grpc.enable_retries", 0),
]


class GrpcLoad:
    """``allow``: how many calls may have begun; the share of this transport, as it grows."""

    def __init__(self, address: str, seed: str, phases: Phases) -> None:
        self._seed = seed
        self._address = address
        self._phases = phases
        self._allowed = 0
        self._begun = 0
        self._ending = threading.Event()
        #: Of ``_ledger`` and ``_begun``.
        self._lock = threading.Lock()
        self._ledger = Ledger()
        self._channels = [grpc.insecure_channel(address, _OPTIONS) for _ in range(_CHANNELS)]
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(_CALLERS)
        ]

    def run(self) -> None:
        """Until stdin says to end; it also says how many calls are allowed."""
        threading.excepthook = self._failed
        self._warm_up()
        for thread in self._threads:
            thread.start()
        others = [threading.Thread(target=each) for each in (self._report, self._hold_open)]
        for thread in others:
            thread.start()
        for line in sys.stdin:
            wish = json.loads(line)
            if "end" in wish:
                break
            self._allowed = wish["allow"]
        self._ending.set()
        for thread in (*self._threads, *others):
            thread.join()
        for channel in self._channels:
            channel.close()
        self._ledger.close()
        say({"ledger": self._ledger.to_json(), "last": True})

    def _warm_up(self) -> None:
        """Have the bridge start all the threads for its own answers that it can ever have.

        It starts one more whenever all are busy, up to a limit: in a long run that looks like a
        leak for long. Requests that have begun, and whose message does not come, keep them busy.
        """
        go_on = threading.Event()

        def late_request() -> Iterator[pb.GetStatsRequest]:
            go_on.wait()
            yield pb.GetStatsRequest()

        calls = [
            self._channels[number % _CHANNELS].stream_unary(
                f"{_SERVICE}GetStats",
                request_serializer=pb.GetStatsRequest.SerializeToString,
                response_deserializer=pb.GetStatsResponse.FromString,
            )
            for number in range(_CONTROL_THREADS)
        ]
        pending = [call.future(late_request()) for call in calls]
        time.sleep(_WARM_UP_S)
        go_on.set()
        for rpc in pending:
            rpc.result(_PATIENCE_S)

    def _failed(self, failure: threading.ExceptHookArgs) -> None:
        with self._lock:
            self._ledger.fault(f"the client failed: {failure.exc_value!r}")
        threading.__excepthook__(failure)

    def _report(self) -> None:
        while not self._ending.wait(_REPORT_S):
            with self._lock:
                report = self._ledger.to_json()
            say({"ledger": report})

    def _work(self, number: int) -> None:
        caller = Caller(
            self._channels[number % _CHANNELS],
            Mix(self._seed, f"grpc-{number}", pings=False),
            self._ledger,
            self._lock,
        )
        # first all at once: more than the bridge takes, so that all its workers exist
        caller.call(self._take(_FLOOD), _FLOOD, caller.mix.waits)
        while not self._ending.is_set():
            phase, ends = self._phases.at(time.monotonic())
            if phase in (QUIET, ALONE):
                self._ending.wait(max(0.0, ends - time.monotonic()))
                continue
            size = caller.random.choice(_BURSTS)
            if self._begun + size <= self._allowed:
                caller.call(self._take(size), size, caller.mix.next)
            else:
                self._ending.wait(_MOMENT_S)

    def _hold_open(self) -> None:
        """Send headers of requests and no messages, and leave: that must take nothing from others."""
        rng = random.Random(f"{self._seed} half open")
        held: list[tuple[Any, threading.Event]] = []

        def let_go(place: int) -> None:
            rpc, left = held.pop(place)
            rpc.cancel()
            left.set()

        def nothing(left: threading.Event) -> Iterator[bytes]:
            left.wait()
            yield from ()

        with grpc.insecure_channel(self._address, _OPTIONS) as channel:
            while not self._ending.wait(_MOMENT_S):
                phase, _ = self._phases.at(time.monotonic())
                if phase in (QUIET, ALONE):
                    while held:
                        let_go(-1)
                    continue
                if len(held) == _HALF_OPEN:
                    let_go(rng.randrange(_HALF_OPEN))
                left = threading.Event()
                begin = channel.stream_unary(rng.choice(_HALF_OPEN_METHODS))
                held.append((begin.future(nothing(left)), left))
            while held:
                let_go(-1)

    def _take(self, size: int) -> int:
        """So many numbers; the last of them."""
        with self._lock:
            self._begun += size
            return self._begun


class Caller:
    """One thread that calls, and waits for what it called. ``lock`` is the ledger's."""

    def __init__(self, channel: Any, mix: Mix, ledger: Ledger, lock: threading.Lock) -> None:
        self.random = random.Random(mix.random.random())
        self.mix = mix
        self._ledger = ledger
        self._lock = lock
        self._encoder = Encoder()
        self._call = channel.unary_unary(
            f"{_SERVICE}Call",
            request_serializer=pb.CallRequest.SerializeToString,
            response_deserializer=pb.CallResponse.FromString,
        )
        self._call_stream = channel.unary_stream(
            f"{_SERVICE}CallStream",
            request_serializer=pb.CallRequest.SerializeToString,
            response_deserializer=pb.StreamResponse.FromString,
        )
        self._get_stats = channel.unary_unary(
            f"{_SERVICE}GetStats",
            request_serializer=pb.GetStatsRequest.SerializeToString,
            response_deserializer=pb.GetStatsResponse.FromString,
        )

    def call(self, last: int, size: int, draw: Callable[[], Shot]) -> None:
        """Have so many calls in flight, whose numbers end with ``last``, and wait for all."""
        begun = [self._begin(last - place, draw()) for place in range(size)]
        for number, shot, rpc in begun:
            self._finish(number, shot, rpc)

    def _begin(self, number: int, shot: Shot) -> tuple[int, Shot, Any]:
        shot.sent = time.monotonic()
        with self._lock:
            self._ledger.in_flight[number] = shot
        if shot.kind == "stats":
            return number, shot, self._get_stats.future(pb.GetStatsRequest())
        request = pb.CallRequest(
            tool=shot.method,
            params=pb.Payload(msgpack=self._encoder.value(shot.params)),
            session=shot.session or "",
        )
        timeout_s = None if shot.timeout_ms is None else shot.timeout_ms / 1000
        if shot.streams:
            # who does not get what it waits for shall not wait for ever
            return number, shot, self._call_stream(request, timeout=timeout_s or _PATIENCE_S)
        rpc = self._call.future(request, timeout=timeout_s)
        if shot.cancel_s is not None and shot.cancel_s >= 0:
            if shot.cancel_s:
                time.sleep(shot.cancel_s)
            rpc.cancel()
        return number, shot, rpc

    def _finish(self, number: int, shot: Shot, rpc: Any) -> None:
        error: dict[str, Any] | None = None
        result: Any = None
        try:
            if shot.streams:
                result = self._read(number, shot, rpc)
            else:
                result = _value(rpc.result(_PATIENCE_S))
        except grpc.FutureCancelledError:
            error = {"code": "cancelled", "message": ""}
        except grpc.FutureTimeoutError:
            with self._lock:
                self._ledger.is_stuck(_PATIENCE_S)
            return  # it stays in flight, and is lost
        except grpc.RpcError as failure:
            error = {"code": failure.code().name.lower(), "message": failure.details()}
        now = time.monotonic()
        with self._lock:
            self._ledger.answer(number, error, result, now)
        if shot.cancel_s == AFTER:
            rpc.cancel()

    def _read(self, number: int, shot: Shot, rpc: Any) -> Any:
        """Read a stream as its plan says; its result."""
        result: list[Any] = []
        for message in rpc:
            kind = message.WhichOneof("kind")
            with self._lock:
                if result:
                    self._ledger.duplicated += 1
                if kind == "item":
                    self._ledger.item(number, decode_value(message.item.msgpack))
                elif kind == "progress":
                    self._ledger.progress(number, message.progress.text)
                elif kind == "log":
                    self._ledger.note(number, message.log.text)
                else:
                    result.append(decode_value(message.result.msgpack))
            if kind == "item" and shot.received - 1 == shot.leave_at:
                rpc.cancel()
            if kind == "item" and shot.abandoned:
                time.sleep(0.002)  # reads, but slowly, until its time is up
        return result[0] if result else "a stream without a result"


def _value(response: Any) -> Any:
    if isinstance(response, pb.GetStatsResponse):
        return MessageToDict(response.stats)
    return decode_value(response.result.msgpack)


def main() -> None:
    """Argument: ``address``, ``seed``, ``began``, ``cycle_s`` as JSON; then ``run``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who runs the soak says when it ends
    wish = json.loads(sys.argv[1])
    phases = Phases(wish["began"], wish["cycle_s"])
    GrpcLoad(wish["address"], wish["seed"], phases).run()


if __name__ == "__main__":
    main()

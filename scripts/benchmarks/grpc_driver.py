"""The gRPC side of ``scripts/bench``: takes the jobs that ``elixir/driver.ex`` takes, for servers of
``protos/bridge.proto``.

It is ``grpc.aio`` in Python and costs about as much CPU as the server: a gRPC figure is one of client
and server, and is compared only with others of the same kind. Requests are made beforehand, and of
an answer only the status is looked at.
"""

from __future__ import annotations

import asyncio
import base64
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import msgpack

from bridge._generated import bridge_pb2 as pb
from bridge.wire.codec import Encoder

_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a connection for each server
]
_CALLS_SHARE = 0.2  # a call costs many times one over a pipe: so many fewer are enough
_END_S = 5.0
_PATIENCE_S = 20.0
_now = time.perf_counter_ns


def summary(times: list[int]) -> dict[str, float]:
    """Median and 99th percentile of nanoseconds, in microseconds."""
    times = sorted(times)
    last = len(times) - 1
    return {
        "p50_us": times[min(len(times) // 2, last)] / 1000,
        "p99_us": times[min(len(times) * 99 // 100, last)] / 1000,
    }


def quantiles_us(times: list[int]) -> list[list[float]]:
    """``[share, microseconds]`` pairs, dense towards the slow end."""
    times = sorted(times)
    shares = [n / 50 * 0.9 for n in range(51)] + [1 - 0.1 * 0.85**n for n in range(1, 41)]
    last = len(times) - 1
    return [[share, times[min(int(len(times) * share), last)] / 1000] for share in shares]


class Server:
    """A started server and a channel to it."""

    def __init__(self, channel: Any) -> None:
        self._call = channel.unary_unary("/bridge.v1.Bridge/Call")
        self._stream = channel.unary_stream("/bridge.v1.Bridge/CallStream")

    @staticmethod
    def request(tool: str, *args: Any) -> bytes:
        """A whole request, encoded."""
        params = pb.Payload(msgpack=Encoder().value(list(args)))
        data: bytes = pb.CallRequest(tool=tool, params=params).SerializeToString()
        return data

    async def call(self, request: bytes) -> int:
        """Make a call; returns the nanoseconds that it took."""
        started = _now()
        await self._call(request, timeout=_PATIENCE_S)
        return _now() - started

    async def stream(self, request: bytes) -> int:
        """Take a stream; returns how many messages came."""
        count = 0
        async for _ in self._stream(request, timeout=_PATIENCE_S):
            count += 1
        return count


async def sequential(server: Server, options: dict[str, Any]) -> dict[str, Any]:
    request = server.request("echo", {"x": 1})
    calls = int(options["calls"] * _CALLS_SHARE)
    for _ in range(100):
        await server.call(request)
    return summary([await server.call(request) for _ in range(calls)])


async def window(server: Server, options: dict[str, Any]) -> dict[str, Any]:
    request = server.request("echo", {"x": 1})
    await in_flight(server, request, 64, 500)
    points = []
    for size, calls in options["windows"]:
        calls = max(int(calls * _CALLS_SHARE), size)
        points.append([size, calls / (await in_flight(server, request, size, calls)) * 1e9])
    return {"calls_s": points[-1][1], "points": points}


async def in_flight(server: Server, request: bytes, size: int, calls: int) -> int:
    async def caller(count: int) -> None:
        for _ in range(count):
            await server.call(request)

    started = _now()
    await asyncio.gather(*(caller(calls // size) for _ in range(size)))
    return (_now() - started) * calls // (calls // size * size)


async def sleeps(server: Server, options: dict[str, Any]) -> dict[str, Any]:
    request = server.request("sleep", options["seconds"])
    rounds = []
    for _ in range(options["times"] + 1):
        started = _now()
        await asyncio.gather(*(server.call(request) for _ in range(options["count"])))
        rounds.append((_now() - started) / 1e6)
    ms = statistics.median(rounds[1:])
    return {"ms": ms, "cold_ms": rounds[0], "calls_s": options["count"] / ms * 1000}


async def payload(server: Server, options: dict[str, Any]) -> dict[str, Any]:
    points = []
    for size, calls in options["sizes"]:
        if options["kind"] == "tensor":
            import numpy as np

            data: Any = np.ones(size // 4, dtype=np.float32)
        else:
            data = bytes([7]) * size
        request = server.request("echo", data)
        for _ in range(min(calls, 3)):
            await server.call(request)
        started = _now()
        for _ in range(calls):
            await server.call(request)
        seconds = (_now() - started) / 1e9
        points.append([size, size * calls / 1e6 / seconds, seconds / calls * 1e6])
        if seconds / calls * 6 > options.get("patience_s", 10):
            break
    return {"mb_s": points[-1][1], "points": points}


async def mixed(server: Server, options: dict[str, Any]) -> dict[str, Any]:
    request, sleep = server.request("echo", {"x": 1}), server.request("sleep", options["seconds"])
    calls = int(options["calls"] * _CALLS_SHARE)
    await asyncio.gather(*(server.call(sleep) for _ in range(options["slow"] + 1)))
    idle = summary([await server.call(request) for _ in range(calls)])
    done = False

    async def slow() -> None:
        while not done:
            await server.call(sleep)

    tasks = [asyncio.create_task(slow()) for _ in range(options["slow"])]
    busy = summary([await server.call(request) for _ in range(calls)])
    done = True
    await asyncio.gather(*tasks)
    return {**busy, "idle_p50_us": idle["p50_us"], "slowdown": busy["p50_us"] / idle["p50_us"]}


async def stream(server: Server, options: dict[str, Any]) -> dict[str, Any]:
    items = int(options["items"] * _CALLS_SHARE)
    await server.stream(server.request("count", 200))
    request = server.request("count", items)
    started = _now()
    count = await server.stream(request)
    assert count == items + 1, f"{count} messages"
    return {"items_s": items / (_now() - started) * 1e9}


async def beside_hog(server: Server, options: dict[str, Any]) -> dict[str, Any]:
    request = server.request("echo", {"x": 1})
    for _ in range(50):
        await server.call(request)
    hog = asyncio.create_task(server.call(server.request("spin", options["seconds"])))
    await asyncio.sleep(0)
    times = []
    while not hog.done():
        times.append(await server.call(request))
    await hog
    return {**summary(times), "quantiles_us": quantiles_us(times)}


async def pair(server: Server, options: dict[str, Any]) -> dict[str, Any]:
    request = server.request(options["tool"], *options["args"])

    async def two() -> int:
        started = _now()
        await asyncio.gather(server.call(request), server.call(request))
        return _now() - started

    await two()
    ones, twos = [], []
    for _ in range(options["times"]):
        ones.append(await server.call(request))
        twos.append(await two())
    one_ns, two_ns = statistics.median(ones), statistics.median(twos)
    return {"one_ms": one_ns / 1e6, "two_ms": two_ns / 1e6, "speedup": 2 * one_ns / two_ns}


JOBS: dict[str, Callable[[Server, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
    job.__name__: job
    for job in (sequential, window, sleeps, payload, mixed, stream, beside_hog, pair)
}


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Start a server, do one job on it, end it."""
    process = subprocess.Popen(
        job["program"], cwd=job["directory"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("GRPC_READY:"):
            return {"error": f"{job['program'][0]} said {line!r} instead of GRPC_READY"}
        address = f"127.0.0.1:{line.partition(':')[2].strip()}"
        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
            return {"figures": await JOBS[job["workload"]](Server(channel), job["options"])}
    except (grpc.RpcError, AssertionError, KeyError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Answer jobs until the input ends."""
    for line in sys.stdin:
        answer = asyncio.run(run(msgpack.unpackb(base64.b64decode(line))))
        print(base64.b64encode(msgpack.packb(answer)).decode(), flush=True)


if __name__ == "__main__":
    main()

"""How cost grows: with calls in flight, sizes, workers, tools, and calls that were made before."""

from __future__ import annotations

from .workload import Workload

_MIB = 1 << 20
_STDIO = ("bare", "erlport", "bridge", "no-inline")
_GRPC = ("bare-grpc", "grpc")


def _windows(calls: int) -> list[list[int]]:
    return [[2**n, max(calls * min(2**n, 16) // 16, 200)] for n in range(9)]


def _sizes(largest: int, mib: int) -> list[list[int]]:
    # as many calls as move `mib` MiB, but at least 3 and at most 1000
    powers = [16 * 4**n for n in range(12) if 16 * 4**n <= largest]
    return [[size, min(1000, max(3, mib * _MIB // size))] for size in powers]


_WIDE = [[size, max(8_000, 2 * size)] for size in (1, 4, 16, 64, 256, 1024, 4096, 10_000)]

GROWTH = (
    Workload(
        "growth_in_flight",
        "echo, 1 to 256 calls in flight",
        "window",
        "calls_s",
        "calls/s",
        (*_STDIO, "client", *_GRPC),
        {"windows": _windows(3000)},
        {"windows": [[1, 300], [16, 1000], [256, 2000]]},
        higher_is_better=True,
        growth=True,
        cost_s=1.6,
    ),
    Workload(
        "growth_payload",
        "echo of 16 B to 64 MiB",
        "payload",
        "mb_s",
        "MB/s",
        (*_STDIO, *_GRPC),
        {"kind": "bin", "sizes": _sizes(64 * _MIB, 16), "patience_s": 1.0},
        {"sizes": [[16, 200], [4096, 200], [_MIB, 8]]},
        higher_is_better=True,
        growth=True,
        cost_s=3.0,
    ),
    Workload(
        "growth_workers",
        "calls that sleep 10 ms, 1 to 256 workers",
        "sleeps",
        "calls_s",
        "calls/s",
        (*_STDIO, "grpc"),
        {"seconds": 0.01, "times": 1},
        higher_is_better=True,
        sweep=("workers", (1, 2, 4, 8, 16, 32, 64, 128, 256)),
        quick_sweep=(1, 16),
        growth=True,
        cost_s=2.5,
    ),
    Workload(
        "growth_tools",
        "start-up with 1 to 100,000 tools",
        "startup",
        "ms",
        "ms",
        ("bridge",),
        {"starts": 1, "adapter": "bench_tools:Many"},
        local=True,
        sweep=("tools", (1, 10, 100, 1000, 10_000, 100_000)),
        quick_sweep=(1, 1000),
        growth=True,
        cost_s=3.0,
    ),
    Workload(
        "growth_wide",
        "echo, 1 to 10,000 calls in flight: what each costs",
        "window_costs",
        "us",
        "µs each",
        ("bare", "bridge", "no-inline"),
        {"windows": _WIDE},
        {"windows": [[1, 300], [64, 2000], [1024, 4000], [10_000, 20_000]]},
        growth=True,
        cost_s=2.0,
        arguments=("--max-queue", "20000"),
    ),
    Workload(
        "growth_calls",
        "echo, 64 in flight: what each costs after 10,000 to 1,000,000 calls (--full: 10,000,000)",
        "long_run",
        "us",
        "µs each",
        ("bare", "bridge", "no-inline", "client"),
        {"marks": [10_000, 30_000, 100_000, 300_000, 1_000_000]},
        {"marks": [3_000, 10_000, 30_000]},
        full={"marks": [10_000, 100_000, 1_000_000, 3_000_000, 10_000_000]},
        growth=True,
        cost_s=7.0,
    ),
    Workload(
        "growth_tools_calls",
        "echo, 64 in flight, of 1 to 100,000 tools",
        "window_costs",
        "us",
        "µs each",
        ("bridge", "no-inline"),
        {"windows": [[64, 20_000]], "adapter": "bench_tools:Many"},
        {"windows": [[64, 5_000]]},
        sweep=("tools", (1, 100, 10_000, 100_000)),
        quick_sweep=(1, 10_000),
        growth=True,
        cost_s=7.0,
    ),
)

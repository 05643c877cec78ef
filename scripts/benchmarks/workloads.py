"""What is measured, and of whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MIB = 1 << 20
_STDIO = ("bare", "erlport", "bridge", "no-inline")
_CLIENTS = ("client", "erlport-client")
_GRPC = ("bare-grpc", "grpc")


@dataclass(frozen=True)
class Workload:
    """One line of work for many subjects.

    ``job``: what the driver does; for ``local`` ones, a function of ``processes.py``. ``metric``:
    the figure that the table shows, in ``unit``. ``subjects``: names without interpreter.
    ``sweep``: measured once for each value, which becomes an option of the job or the command:
    ``(name, values)``. ``cost_s``: roughly, for one subject, until it is known better.
    """

    name: str
    title: str
    job: str
    metric: str
    unit: str
    subjects: tuple[str, ...]
    options: Mapping[str, Any]
    quick: Mapping[str, Any] = field(default_factory=dict)
    higher_is_better: bool = False
    pinned: bool = False
    local: bool = False
    workers: int = 16
    sweep: tuple[str, tuple[int, ...]] | None = None
    quick_sweep: tuple[int, ...] = ()
    growth: bool = False
    cost_s: float = 1.0


def _windows(calls: int) -> list[list[int]]:
    return [[2**n, max(calls * min(2**n, 16) // 16, 200)] for n in range(9)]


def _sizes(largest: int, mib: int) -> list[list[int]]:
    # as many calls as move `mib` MiB, but at least 3 and at most 1000
    powers = [16 * 4**n for n in range(12) if 16 * 4**n <= largest]
    return [[size, min(1000, max(3, mib * _MIB // size))] for size in powers]


WORKLOADS = (
    Workload(
        "sequential",
        "echo, one call at a time",
        "sequential",
        "p50_us",
        "µs p50",
        (*_STDIO, *_CLIENTS, *_GRPC),
        {"calls": 5000},
        {"calls": 1000},
        cost_s=0.8,
    ),
    Workload(
        "pinned",
        "echo, one call at a time, all on one CPU",
        "sequential",
        "p50_us",
        "µs p50",
        (*_STDIO, *_CLIENTS),
        {"calls": 5000},
        {"calls": 1000},
        pinned=True,
        cost_s=0.6,
    ),
    Workload(
        "window",
        "echo, 64 calls in flight",
        "window",
        "calls_s",
        "calls/s",
        (*_STDIO, *_CLIENTS, *_GRPC),
        {"windows": [[64, 20_000]]},
        {"windows": [[64, 5_000]]},
        higher_is_better=True,
        cost_s=1.0,
    ),
    Workload(
        "calls_back",
        "64 callers, each call a tool that calls Elixir back",
        "calls_back",
        "calls_s",
        "calls/s",
        _CLIENTS,
        {"callers": 64, "calls": 10_000},
        {"calls": 2_000},
        higher_is_better=True,
        cost_s=1.0,
    ),
    Workload(
        "calls_back_alone",
        "a tool that calls Elixir back, one call at a time",
        "calls_back",
        "p50_us",
        "µs p50",
        _CLIENTS,
        {"callers": 1, "calls": 3_000},
        {"calls": 500},
        cost_s=0.8,
    ),
    Workload(
        "sleeps",
        "16 calls that sleep 50 ms, 16 workers",
        "sleeps",
        "ms",
        "ms",
        (*_STDIO, *_CLIENTS, *_GRPC),
        {"count": 16, "seconds": 0.05, "times": 3},
        {"times": 1},
        cost_s=1.0,
    ),
    Workload(
        "binary",
        "echo of a 4 MiB binary",
        "payload",
        "mb_s",
        "MB/s",
        (*_STDIO, *_CLIENTS, *_GRPC),
        {"kind": "bin", "sizes": [[4 * _MIB, 30]]},
        {"sizes": [[4 * _MIB, 8]]},
        higher_is_better=True,
        cost_s=1.0,
    ),
    Workload(
        "tensor",
        "echo of a 4 MiB float32 tensor",
        "payload",
        "mb_s",
        "MB/s",
        ("bare", "bridge", "no-inline", "client", *_GRPC),
        {"kind": "tensor", "sizes": [[4 * _MIB, 30]]},
        {"sizes": [[4 * _MIB, 8]]},
        higher_is_better=True,
        cost_s=1.0,
    ),
    Workload(
        "mixed",
        "quick calls while 15 others sleep 50 ms, again and again, all on one CPU",
        "mixed",
        "p50_us",
        "µs p50",
        ("bridge", "no-inline", *_GRPC),
        {"slow": 15, "seconds": 0.05, "calls": 3000},
        {"calls": 800},
        pinned=True,  # or it compares the two modes of one call at a time
        cost_s=1.2,
    ),
    Workload(
        "stream",
        "a stream of small items",
        "stream",
        "items_s",
        "items/s",
        ("bare", "bridge", "no-inline", "client", *_GRPC),
        {"items": 20_000, "credit": 256},
        {"items": 4_000},
        higher_is_better=True,
        cost_s=1.0,
    ),
    Workload(
        "beside_hog",
        "echo while one tool computes in Python",
        "beside_hog",
        "p99_us",
        "µs p99",
        ("bridge", "no-inline", *_GRPC),
        {"seconds": 1.0},
        {"seconds": 0.4},
        cost_s=1.6,
    ),
    Workload(
        "numpy",
        "two NumPy products at once, against one",
        "pair",
        "speedup",
        "x one",
        ("threads", "bridge", "grpc"),
        {"tool": "multiply", "args": [512, 8], "times": 3},
        {"times": 1},
        higher_is_better=True,
        cost_s=1.5,
    ),
    Workload(
        "cpu",
        "two tools that compute in Python, against one",
        "pair",
        "speedup",
        "x one",
        ("threads", "bridge"),
        {"tool": "work", "args": [1_500_000], "times": 3},
        {"times": 1},
        higher_is_better=True,
        cost_s=1.5,
    ),
    Workload(
        "startup",
        "from the start of the process until it serves",
        "startup",
        "ms",
        "ms",
        ("python", "bare", "erlport", "bridge", *_GRPC),
        {"starts": 5},
        {"starts": 2},
        local=True,
        cost_s=0.6,
    ),
    Workload(
        "memory",
        "memory of 16 calls at once, each",
        "memory",
        "mib_per_call",
        "MiB",
        ("bare", "erlport", "bridge"),
        {"units": [1, 4, 16, 64]},
        {"units": [1, 4, 16]},
        local=True,
        cost_s=3.5,
    ),
    Workload(
        "payload_memory",
        "memory that a 24 MiB payload takes, at its peak",
        "payload_memory",
        "times_payload",
        "x payload",
        ("bare", "erlport", "bridge", "no-inline"),
        {"mib": 24, "parts": 8},
        local=True,
        cost_s=1.0,
    ),
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
        "calls that sleep 10 ms, 1 to 64 workers",
        "sleeps",
        "calls_s",
        "calls/s",
        (*_STDIO, "grpc"),
        {"seconds": 0.01, "times": 1},
        higher_is_better=True,
        sweep=("workers", (1, 2, 4, 8, 16, 32, 64)),
        quick_sweep=(1, 16),
        growth=True,
        cost_s=2.5,
    ),
    Workload(
        "growth_tools",
        "start-up with 1 to 10,000 tools",
        "startup",
        "ms",
        "ms",
        ("bridge",),
        {"starts": 1, "adapter": "bench_tools:Many"},
        local=True,
        sweep=("tools", (1, 10, 100, 1000, 10_000)),
        quick_sweep=(1, 1000),
        growth=True,
        cost_s=3.0,
    ),
)

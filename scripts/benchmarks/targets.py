"""What counts as good."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What a figure must reach: a value, or a ratio to another figure of the same round.

    ``subject`` may end in ``@``: it is met by each such subject on a free-threaded interpreter.
    ``against``: ``(workload, subject)``, whose figure of the same name is the reference.
    """

    text: str
    workload: str
    subject: str
    metric: str
    bound: float
    at_least: bool
    against: tuple[str, str] | None = None
    unit: str = ""


TARGETS = (
    Target("sequential echo p50, pinned: bridge / bare loop", "pinned", "bridge", "p50_us", 1.3, False, ("pinned", "bare")),
    Target("sequential echo p50: bridge / bare loop", "sequential", "bridge", "p50_us", 1.3, False, ("sequential", "bare")),
    Target("64 in flight: bridge / bare loop", "window", "bridge", "calls_s", 0.6, True, ("window", "bare")),
    Target("64 in flight: bridge / ErlPort (python:call)", "window", "bridge", "calls_s", 6.0, True, ("window", "erlport-client")),
    Target("64 in flight: bridge / ErlPort's Python half, same driver", "window", "bridge", "calls_s", 6.0, True, ("window", "erlport")),
    Target("64 in flight: bridge --no-inline / bare loop", "window", "no-inline", "calls_s", 0.35, True, ("window", "bare")),
    Target("16 x 50 ms sleeps on 16 workers", "sleeps", "bridge", "ms", 53.0, False, unit="ms"),
    Target("quick call p50 while 15 slow ones run / idle", "mixed", "bridge", "slowdown", 1.5, False),
    Target("quick call p99 while 15 slow ones run", "mixed", "bridge", "p99_us", 3000.0, False, unit="µs"),
    Target("4 MiB binary: bridge / bare loop", "binary", "bridge", "mb_s", 0.8, True, ("binary", "bare")),
    Target("4 MiB float32 tensor / the same bytes as binary", "tensor", "bridge", "mb_s", 0.8, True, ("binary", "bridge")),
    Target("echo p99 beside a tool that computes in Python", "beside_hog", "bridge", "p99_us", 3000.0, False, unit="µs"),
    Target("echo p50 beside a tool that computes in Python", "beside_hog", "bridge", "p50_us", 150.0, False, unit="µs"),
    Target("echo p99.9 beside 15 that sleep and one that computes", "crowded", "bridge", "p999_us", 3000.0, False, unit="µs"),
    Target("p99 of a token, 64 streams", "tokens", "client", "p99_us", 5000.0, False, unit="µs"),
    Target("gRPC, 64 in flight: bridge / bare grpcio", "window", "grpc", "calls_s", 0.9, True, ("window", "bare-grpc")),
    Target("two NumPy products on 2 cores", "numpy", "bridge", "speedup", 1.8, True, unit="x one"),
    Target("two pure-Python tools on 2 cores, free-threaded", "cpu", "bridge@", "speedup", 1.8, True, unit="x one"),
    Target('start-up until $/ready / python -c "import msgpack"', "startup", "bridge", "ms", 1.5, False, ("startup", "python")),
    Target("memory of one 24 MiB payload", "payload_memory", "bridge", "times_payload", 2.2, False, unit="x payload"),
    Target("memory of it in 8 parts at once", "payload_memory", "bridge", "times_payload_parts", 2.2, False, unit="x payload"),
)  # fmt: skip

"""What counts as good."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What a figure must reach: a value, or a ratio to another figure of the same round.

    ``subject`` may end in ``@``: it is met by each such subject on a free-threaded interpreter, beside the
    reference on the same one, if that ends so, too.
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
    Target("sequential echo p50, pinned: bridge / bare loop", "pinned", "bridge", "p50_us", 1.2, False, ("pinned", "bare")),
    Target("64 in flight: bridge / bare loop", "window", "bridge", "calls_s", 0.75, True, ("window", "bare")),
    Target("64 in flight: bridge --no-inline / bare loop", "window", "no-inline", "calls_s", 0.4, True, ("window", "bare")),
    Target("64 in flight, free-threaded: bridge / bare loop there", "window", "bridge@", "calls_s", 0.6, True, ("window", "bare@")),
    Target("64 callers: Bridge.Client / raw port", "window", "client", "calls_s", 0.7, True, ("window", "bridge")),
    Target("64 callers: Bridge.Client / bare client", "window", "client", "calls_s", 0.8, True, ("window", "bare-client")),
    Target("64 callers: Bridge.Client / ErlPort, python:call", "window", "client", "calls_s", 4.0, True, ("window", "erlport-client")),
    Target("sequential echo p50, pinned: Bridge.Client / raw port", "pinned", "client", "p50_us", 1.2, False, ("pinned", "bridge")),
    Target("sequential echo p50, pinned: Bridge.Client / bare client", "pinned", "client", "p50_us", 1.2, False, ("pinned", "bare-client")),
    Target("64 in flight: bridge / ErlPort's Python half, same driver", "window", "bridge", "calls_s", 6.0, True, ("window", "erlport")),
    Target("64 in flight, gRPC: bridge / bare grpcio", "window", "grpc", "calls_s", 0.95, True, ("window", "bare-grpc")),
    Target("quick call beside a tool that computes in Python, p50", "beside_hog", "bridge", "p50_us", 150.0, False, unit="µs"),
    Target("quick call beside a tool that computes in Python, p99", "beside_hog", "bridge", "p99_us", 2000.0, False, unit="µs"),
    Target("quick call beside 15 that sleep and one that computes, p99.9", "crowded", "bridge", "p999_us", 3000.0, False, unit="µs"),
    Target("the same p99.9 / bare loop beside another process that computes", "crowded", "bridge", "p999_us", 1.5, False, ("crowded", "bare-hog")),
    Target("quick call while 15 sleep, p50 / idle", "mixed", "bridge", "slowdown", 1.5, False),
    Target("token of 64 streams, p99", "tokens", "client", "p99_us", 5000.0, False, unit="µs"),
    Target("stream of small items", "stream", "client", "items_s", 150_000.0, True, unit="items/s"),
    Target("16 x 50 ms sleeps on 16 workers", "sleeps", "bridge", "ms", 53.0, False, unit="ms"),
    Target("4 MiB binary: bridge / bare loop", "binary", "bridge", "mb_s", 0.8, True, ("binary", "bare")),
    Target("4 MiB float32 tensor / the same bytes as binary", "tensor", "bridge", "mb_s", 0.8, True, ("binary", "bridge")),
    Target("two NumPy products on 2 cores", "numpy", "bridge", "speedup", 1.8, True, unit="x one"),
    Target("two pure-Python tools on 2 cores, free-threaded", "cpu", "bridge@", "speedup", 1.8, True, unit="x one"),
    Target('start until it serves / python -c "import msgpack"', "startup", "bridge", "ms", 1.4, False, ("startup", "python")),
    Target("memory when it serves", "startup", "bridge", "rss_mib", 14.0, False, unit="MiB"),
    Target("memory of one 24 MiB payload", "payload_memory", "bridge", "times_payload", 2.2, False, unit="x payload"),
    Target("memory of it in 8 parts at once", "payload_memory", "bridge", "times_payload_parts", 2.2, False, unit="x payload"),
)  # fmt: skip

"""The options of the metrics: rows of the table and their values."""

from __future__ import annotations

from ..options import Group, Options, Text, WholeNumber, option

METRICS = Group("Metrics", "For Prometheus, at http://HOST:PORT/metrics (docs/metrics.md).")


class MetricsSettings(Options):
    """Where Prometheus finds the metrics."""

    port: int | None = option(
        "--metrics-port",
        WholeNumber(0, 65535),
        "Serve metrics there; 0 takes a port that is free. It is printed as METRICS_READY:PORT.",
        group=METRICS,
        default=None,
        default_text="none are served",
    )
    host: str = option(
        "--metrics-host",
        Text("HOST", "a name or an address of this machine"),
        "Where --metrics-port listens. Whoever reaches it can read them, in clear text.",
        group=METRICS,
        default="127.0.0.1",
    )

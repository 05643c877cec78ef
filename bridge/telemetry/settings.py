"""The options of metrics and spans: rows of the table and their values."""

from __future__ import annotations

from ..options import Group, Options, Switch, Text, WholeNumber, option

TELEMETRY = Group("Metrics and traces", "For Prometheus and OpenTelemetry: docs/metrics.md.")


class TelemetrySettings(Options):
    """Where Prometheus finds the metrics, and whether there are spans."""

    metrics_port: int | None = option(
        "--metrics-port",
        WholeNumber(0, 65535),
        "Serve metrics at http://HOST:PORT/metrics; 0 takes a port that is free. It is printed as "
        "METRICS_READY:PORT.",
        group=TELEMETRY,
        default=None,
        default_text="none are served",
    )
    metrics_host: str = option(
        "--metrics-host",
        Text("HOST", "a name or an address of this machine"),
        "Where --metrics-port listens. Whoever reaches it can read them, in clear text.",
        group=TELEMETRY,
        default="127.0.0.1",
    )
    tracing: bool = option(
        "--tracing",
        Switch(),
        "Make an OpenTelemetry span of each call, in the trace of its caller.",
        group=TELEMETRY,
        default=False,
    )

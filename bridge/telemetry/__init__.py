"""What a process that serves tells its operator: metrics for Prometheus, spans for OpenTelemetry.

Nothing is counted for the metrics: each scrape reads the statistics that the process has anyway. Where
nobody asks for spans, tools are called as they are.
"""

from .settings import TelemetrySettings

__all__ = ["TelemetrySettings"]

"""What a process that serves tells Prometheus, over HTTP at an address of its own.

Nothing is counted for it: each scrape reads the statistics that the process has anyway.
"""

from .settings import MetricsSettings

__all__ = ["MetricsSettings"]

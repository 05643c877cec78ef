"""The statistics of a process as metrics: their names, types, labels and buckets.

The only labels are names of tools that are served, codes of errors, and states: nothing that a
caller sends becomes one, so their number is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from .. import __version__

_STATES = ("serving", "stuck", "draining")
#: Upper bounds of the buckets, in microseconds: powers of four, from 4 microseconds to 67 seconds.
#: The same for every tool and process, so that they can be added up. What is counted in the process
#: is counted in powers of two, so these are exact.
_BOUNDS_US = tuple(1 << bits for bits in range(2, 27, 2))
#: How much of what there is: the name of the metric, in the statistics, and what it is.
_GAUGES = (
    ("bridge_uptime_seconds", "uptime_s", "Time since the process began to serve."),
    ("bridge_calls_in_flight", "in_flight", "Calls that wait or run."),
    ("bridge_queue_length", "queued", "Calls that wait for a worker."),
    ("bridge_queue_limit", "max_queue", "How many may wait (--max-queue)."),
    ("bridge_workers_busy", "busy", "Workers that run a tool."),
    ("bridge_workers_limit", "max_workers", "How many there may be (--max-workers)."),
    ("bridge_workers_abandoned", "abandoned", "Threads with a tool that nobody awaits any more."),
    ("bridge_async_running", "async_running", "Calls of async tools that run."),
    ("bridge_async_limit", "max_async", "How many of them may run (--max-async)."),
    ("bridge_async_abandoned", "async_abandoned", "Those of them that nobody awaits any more."),
)


class BridgeCollector(Collector):
    """Makes metrics of statistics, anew for each scrape. Any thread may ask.

    Args:
        stats: the statistics of the process, as ``$/stats`` shows them.
    """

    def __init__(self, stats: Callable[[], Mapping[str, Any]]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """All metrics. Calls that end meanwhile may be in one and not yet in the next."""
        stats = self._stats()
        yield InfoMetricFamily(
            "bridge",
            "What serves.",
            {"version": __version__, "python": str(stats["python"].get("version", ""))},
        )
        status = GaugeMetricFamily(
            "bridge_status", "1 for the state of the process, 0 for the others.", labels=["status"]
        )
        for state in _STATES:
            status.add_metric([state], float(stats["status"] == state))
        yield status
        for name, key, documentation in _GAUGES:
            yield GaugeMetricFamily(name, documentation, value=stats[key])
        yield from _of_tools(stats["tools"])
        interrupted = CounterMetricFamily(
            "bridge_calls_interrupted",
            "Calls that were answered before their tool had ended, or instead of it.",
            labels=["code"],
        )
        for code, count in stats["interrupted"].items():
            interrupted.add_metric([code], count)
        yield interrupted
        yield CounterMetricFamily(
            "bridge_interrupts",
            "Tools in which an exception was raised, as nobody awaited them any more.",
            value=stats["interrupts"]["raised"],
        )
        yield from _of_large_data(stats.get("shared_memory", {}))

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that to register it does not ask for the statistics."""
        return iter(())


def _of_tools(tools: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    """By tool; of those that were never called only that there are none."""
    calls = CounterMetricFamily("bridge_calls", "Calls that have ended.", labels=["tool"])
    errors = CounterMetricFamily(
        "bridge_call_errors", "Those of them that ended with an error.", labels=["tool"]
    )
    running = GaugeMetricFamily(
        "bridge_tool_calls_in_flight", "Calls of the tool that wait or run.", labels=["tool"]
    )
    wait = HistogramMetricFamily(
        "bridge_queue_wait_seconds", "From the arrival of a call to its begin.", labels=["tool"]
    )
    run = HistogramMetricFamily(
        "bridge_run_time_seconds", "From the begin of a tool to its end.", labels=["tool"]
    )
    for name, tool in tools.items():
        calls.add_metric([name], tool["calls"])
        errors.add_metric([name], tool["errors"])
        running.add_metric([name], tool["in_flight"])
        if tool["calls"]:
            for family, counted in ((wait, tool["queue_wait"]), (run, tool["run_time"])):
                family.add_metric([name], _buckets(counted["below_us"]), counted["total_s"])
    yield from (calls, errors, running, wait, run)


def _of_large_data(memory: Mapping[str, Any]) -> Iterator[Metric]:
    """What large data went which way; nothing where no peer could take shared memory."""
    if "sent" not in memory:
        return
    messages = CounterMetricFamily(
        "bridge_large_messages",
        "Messages with data for shared memory, by the way that this has taken.",
        labels=["direction", "way"],
    )
    sizes = CounterMetricFamily(
        "bridge_large_bytes", "How much data they had for it.", labels=["direction", "way"]
    )
    for direction in ("sent", "received"):
        account = memory[direction]
        for way, count, size in (
            ("shared_memory", "messages", "bytes"),
            ("pipe", "refused", "refused_bytes"),
        ):
            messages.add_metric([direction, way], account[count])
            sizes.add_metric([direction, way], account[size])
    yield from (messages, sizes)
    yield GaugeMetricFamily(
        "bridge_shared_memory_reserved_bytes",
        "Memory that is reserved for large data.",
        value=memory["reserved_bytes"],
    )
    yield GaugeMetricFamily(
        "bridge_shared_memory_used_bytes",
        "How much of it is in use.",
        value=memory["used_bytes"],
    )


def _buckets(below_us: Mapping[int, int]) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound in seconds, of counts by upper bound in microseconds."""
    buckets = [
        (repr(bound / 1e6), float(sum(n for below, n in below_us.items() if below <= bound)))
        for bound in _BOUNDS_US
    ]
    return [*buckets, ("+Inf", float(sum(below_us.values())))]

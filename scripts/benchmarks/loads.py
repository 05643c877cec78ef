"""Loads that applications have, from the side of their callers."""

from __future__ import annotations

from typing import Any

from .workload import Workload

_STDIO = ("bare", "bridge", "no-inline", "client")
_CLIENT = ("client",)


def _values(name: str, title: str, value: str, calls: int, cost_s: float = 1.0) -> Workload:
    return Workload(
        name,
        f"echo of {title}, 64 callers",
        "values",
        "p50_us",
        "µs p50",
        _STDIO,
        {"value": value, "callers": 64, "calls": calls},
        {"calls": max(calls // 5, 640)},
        cost_s=cost_s,
    )


def _load(
    name: str, title: str, metric: str, options: dict[str, Any], quick: dict[str, Any], **more: Any
) -> Workload:
    job, unit = more.pop("job", name), more.pop("unit", "µs p50")
    subjects = more.pop("subjects", _CLIENT)
    return Workload(name, title, job, metric, unit, subjects, options, quick, **more)


LOADS = (
    _values("maps", "maps of 1 KiB", "map", 12_800),
    _values("tables", "tables of 100 rows of 5 columns", "table", 3_200, 1.5),
    _values("embeddings", "lists of 384 floats", "embedding", 6_400),
    _values("images", "images of 64 KiB", "image", 3_200),
    _load(
        "predict",
        "predictions of scikit-learn for 10 rows, 16 callers",
        "p50_us",
        {"callers": 16, "calls": 1_600},
        {"calls": 480},
        subjects=("bridge", "no-inline", "client"),
        needs="sklearn",
        cost_s=4.0,
    ),
    _load(
        "tokens",
        "64 streams of 1,000 tokens of 50 bytes a second in all: from when a token was made",
        "p99_us",
        {"callers": 64, "items": 32, "per_s": 1000 / 64},
        {"items": 16},
        unit="µs p99",
        workers=80,
        cost_s=3.0,
    ),
    _load(
        "dense_tokens",
        "64 streams of 100 tokens of 50 bytes a second each: from when a token was made",
        "p99_us",
        {"callers": 64, "items": 200, "per_s": 100},
        {"items": 60},
        job="tokens",
        unit="µs p99",
        workers=80,
        cost_s=3.0,
    ),
    _load(
        "idle_streams",
        "echo, one call at a time, beside 1,000 streams that wait",
        "p50_us",
        {"streams": 1000, "calls": 5_000},
        {"calls": 1_000},
        arguments=("--max-async", "1200"),
        cost_s=2.0,
    ),
    _load(
        "mix",
        "64 callers, each twentieth call takes 100 ms: the others",
        "p50_us",
        {"callers": 64, "each": 200, "slow_s": 0.1},
        {"each": 60},
        workers=64,
        cost_s=2.0,
    ),
)

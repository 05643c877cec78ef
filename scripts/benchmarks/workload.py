"""What one workload is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Workload:
    """One line of work for many subjects.

    ``job``: what the driver does; for ``local`` ones, a function of ``processes.py``. ``metric``:
    the figure that the table shows, in ``unit``. ``subjects``: names without interpreter.
    ``sweep``: measured once for each value, which becomes an option of the job or the command:
    ``(name, values)``. ``cost_s``: roughly, for one subject, until it is known better.
    ``full``: options that hold instead with ``--full``. ``growth``: a curve, which needs fewer rounds.
    ``arguments``: what the bridge is started with beside the rest. ``needs``: a package without which
    it is left out.
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
    full: Mapping[str, Any] = field(default_factory=dict)
    cost_s: float = 1.0
    arguments: tuple[str, ...] = ()
    needs: str | None = None

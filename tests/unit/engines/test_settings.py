"""What authors say of an engine, and what of it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from bridge import Adapter, tool
from bridge.engines import Processes, Ray
from bridge.errors import AdapterError
from bridge.loading import LoadedAdapter, adapt
from bridge.process.engine import engine_of


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True])
def test_how_many_is_a_whole_number(wrong: Any) -> None:
    for kind in (Ray, Processes):
        with pytest.raises(ValueError, match="replicas must be a whole number, 1 or more"):
            kind(wrong)
    with pytest.raises(ValueError, match="concurrency must be a whole number"):
        Ray(2, concurrency=wrong)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on": "dask"}, "on must be 'ray' or 'processes'; got 'dask'"),
        ({"num_cpus": 2}, "num_cpus is for a tool that has it"),
        ({"on": "ray", "num_cpus": -1}, "num_cpus must be a number, 0 or more"),
        ({"on": "ray", "num_gpus": "1"}, "num_gpus must be a number"),
        ({"on": "ray", "batch": 4}, "on, or batch, and not both"),
    ],
)
def test_what_a_task_needs_is_checked_where_it_is_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tool(**options)


def adapter(engine: object = None, **on: str | None) -> LoadedAdapter:
    tools = {name: tool(on=where)(lambda: None) for name, where in on.items()}
    methods = {name: staticmethod(function) for name, function in tools.items()}
    made = type("Made", (Adapter,), {"engine": engine, **methods})
    return adapt("m:Made", made())


def test_the_engine_is_that_of_the_option_then_of_the_class_then_of_its_tools() -> None:
    ray, said = Ray(replicas=3, concurrency=5), adapter(Ray(), a=None)
    assert engine_of(adapter(a=None)) is None
    assert engine_of(adapter(object(), a=None)) is None
    assert engine_of(adapter(ray, a=None)) is ray
    assert engine_of(adapter(ray, a="ray"), "ray") is ray
    assert engine_of(said, "local") is None
    other = engine_of(adapter(ray, a="ray"), "processes")
    assert isinstance(other, Processes)
    assert (other.replicas, other.concurrency) == (3, 5)
    tasks = engine_of(adapter(a=None, b="ray"))
    assert isinstance(tasks, Ray)
    assert tasks.replicas == 0
    with pytest.raises(AdapterError, match="asks for processes and ray"):
        engine_of(adapter(ray, a="processes"))

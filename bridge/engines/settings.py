"""What an author says of an engine: ``engine = Ray(replicas=4)`` in the class of an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class EngineSettings:
    """Where an adapter runs. Use ``Ray`` or ``Processes``.

    Args:
        replicas: In how many processes there is an instance of the adapter, 1 or more.
        concurrency: How many calls each runs at once; default: 1, or 8 if the adapter declares itself
            thread-safe. More wait in the process that is called, and occupy no worker there.

    Raises:
        ValueError: One of them is no whole number from 1 on.
    """

    #: What ``--engine`` and ``@tool(on=…)`` call it.
    name = ""

    def __init__(self, replicas: int = 2, *, concurrency: int | None = None) -> None:
        for what, value in (
            ("replicas", replicas),
            ("concurrency", 1 if concurrency is None else concurrency),
        ):
            if type(value) is not int or value < 1:
                raise ValueError(f"{what} must be a whole number, 1 or more; got {value!r}")
        self.replicas = replicas
        self.concurrency = concurrency

    def __repr__(self) -> str:
        values = ", ".join(f"{key}={value!r}" for key, value in vars(self).items() if value)
        return f"{type(self).__name__}({values})"


class Processes(EngineSettings):
    """Replicas are processes of this machine, children of the one that is called.

    To try without a cluster what runs on one: values are pickled, a replica that is lost is replaced.
    """

    name = "processes"


class Ray(EngineSettings):
    """Replicas are actors of a cluster of Ray, which is running; needs the extra ``ray``.

    Args:
        replicas: How many actors.
        concurrency: As for every engine.
        num_cpus: What Ray reserves for each actor; default: 1.
        num_gpus: The same of GPUs; default: 0. It is handed to Ray, and was not tested.
        resources: What else, by name; default: nothing.
        address: Of the cluster; default: ``RAY_ADDRESS``, or the cluster of this machine. A cluster is
            never started.
        namespace: In which the actors are; default: one of their own.
        runtime_env: What Ray prepares for them, for example ``{"working_dir": "."}``; default: nothing,
            the machines have the bridge and the adapter.
        kill_after_s: A task that goes on so long after nobody awaits it any more is ended with
            its process, in seconds; default: 1.
    """

    name = "ray"

    def __init__(
        self,
        replicas: int = 2,
        *,
        concurrency: int | None = None,
        num_cpus: float = 1,
        num_gpus: float = 0,
        resources: Mapping[str, float] | None = None,
        address: str | None = None,
        namespace: str | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        kill_after_s: float = 1.0,
    ) -> None:
        super().__init__(replicas, concurrency=concurrency)
        self.num_cpus = num_cpus
        self.num_gpus = num_gpus
        self.resources = dict(resources or {})
        self.address = address
        self.namespace = namespace
        self.runtime_env = dict(runtime_env or {})
        self.kill_after_s = kill_after_s


#: Those that there are, by name.
ENGINES: Mapping[str, type[EngineSettings]] = {kind.name: kind for kind in (Ray, Processes)}

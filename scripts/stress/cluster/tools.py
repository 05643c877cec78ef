"""What runs on the cluster; each run of a tool is a line in a file, so that none is run twice unseen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy as np

from bridge import Adapter, tool
from bridge.engines import Ray


class Tools(Adapter):
    engine = Ray(replicas=4)

    @tool
    def echo(self, value: object) -> object:
        return value

    @tool
    def process(self) -> int:
        return os.getpid()

    @tool
    def work(self, name: str, ledger: str) -> str:
        return _work(name, ledger)

    @tool(idempotent=True)
    def repeatable(self, name: str, ledger: str) -> str:
        return _work(name, ledger)

    @tool
    def double(self, values: np.ndarray) -> np.ndarray:
        return values * 2

    @tool
    def items(self, count: int) -> Iterator[int]:
        yield from range(count)
        return count

    @tool
    def fails(self, text: str) -> None:
        raise ValueError(text)

    @tool
    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @tool(on="ray", num_cpus=0.5)
    def task(self, value: object) -> object:
        return value

    @tool(on="ray", num_cpus=0.5)
    def endless_task(self) -> None:
        while True:
            time.sleep(60)


def _work(name: str, ledger: str) -> str:
    with open(ledger, "a") as file:
        file.write(f"{name}\n")
    time.sleep(0.02)
    return name

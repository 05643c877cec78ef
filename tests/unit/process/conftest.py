"""What the tests of a process share."""

from __future__ import annotations

from typing import Any

import pytest

from .served import Served


@pytest.fixture
def serve() -> Any:
    made: list[Served] = []

    def start(target: object, workers: int, **options: Any) -> Served:
        made.append(Served(target, workers, **options))
        return made[-1]

    yield start
    for served in made:
        served.pool.close()

"""Real processes: each test drives a bridge through its pipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.testing import PortPeer
from tests.processes import put_away

HERE = str(Path(__file__).parent)


@pytest.fixture
def start() -> Iterator[Callable[..., PortPeer]]:
    """Start a bridge with the test adapter; it is ended with the test."""
    peers: list[PortPeer] = []

    def start(*arguments: str, adapter: str = "adapters:Tools", **options: object) -> PortPeer:
        peer = PortPeer("--adapter", adapter, "--app-dir", HERE, *arguments, **options)  # type: ignore[arg-type]
        peers.append(peer)
        return peer

    yield start
    for peer in peers:
        put_away(peer)


@pytest.fixture
def peer(start: Callable[..., PortPeer]) -> PortPeer:
    """A bridge with four workers."""
    return start("--max-workers", "4")

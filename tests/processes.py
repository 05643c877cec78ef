"""The end of a bridge that a test has started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from bridge.testing import PortPeer


def is_measured() -> bool:
    """Whether each process has to write down, when it ends, which lines it ran."""
    return "COVERAGE_PROCESS_CONFIG" in os.environ


def put_away(peer: PortPeer) -> None:
    """End a bridge at the end of its test: at once, unless it has to write down what it ran."""
    if is_measured() and peer.exit_status is None:
        peer.kill(signal.SIGTERM)
        with suppress(TimeoutError):
            peer.wait(2.0)
    peer.kill()
    peer.__exit__(None, None, None)

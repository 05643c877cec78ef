"""Test adapters and clients from Python, without a BEAM; ``docs/testing.md`` shows how.

``PortPeer`` drives a real bridge process over its pipes, ``ConnectionPair`` the protocol without
a process. The fixture ``bridge_adapter`` of pytest is in ``bridge.testing.pytest_plugin``. The
names are imported when they are first used: pytest loads this package for every run.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .connection_pair import ConnectionPair, describe
    from .inbox import PATIENCE_S
    from .port_peer import PortPeer

__all__ = ["PortPeer", "PATIENCE_S", "ConnectionPair", "describe"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .connection_pair import ConnectionPair, describe
    from .inbox import PATIENCE_S
    from .port_peer import PortPeer

    globals().update(
        PortPeer=PortPeer, PATIENCE_S=PATIENCE_S, ConnectionPair=ConnectionPair, describe=describe
    )
    return globals()[name]

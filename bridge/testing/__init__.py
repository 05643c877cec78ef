"""Test adapters and the protocol from Python, without a BEAM."""

from .port_peer import PATIENCE_S, PortPeer

__all__ = ["PortPeer", "PATIENCE_S"]

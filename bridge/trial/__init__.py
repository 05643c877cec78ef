"""Whether this installation serves: each transport is started for a moment, and asked for a sum."""

from .trial import BOTH, GRPC, SNAKEPIT, STDIO, Trial, try_all, try_transport

__all__ = ["BOTH", "GRPC", "SNAKEPIT", "STDIO", "Trial", "try_all", "try_transport"]

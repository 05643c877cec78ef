"""The name in 0.1 of ``bridge.testing.erlang.erlport_peer``."""

from .erlang.erlport_peer import *  # noqa: F403  # what type checkers find under the old name
from .moved import moved

moved(__name__, "bridge.testing.erlang.erlport_peer")

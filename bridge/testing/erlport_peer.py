"""The name in 0.1 of ``bridge.testing.erlang.erlport_peer``."""

import sys
import warnings

from .erlang import erlport_peer

warnings.warn(
    f"{__name__} is bridge.testing.erlang.erlport_peer since 0.2", DeprecationWarning, stacklevel=2
)
sys.modules[__name__] = erlport_peer

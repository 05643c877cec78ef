"""The name in 0.1 of ``bridge.testing.erlang.strategies``."""

import sys
import warnings

from .erlang import strategies

warnings.warn(
    f"{__name__} is bridge.testing.erlang.strategies since 0.2", DeprecationWarning, stacklevel=2
)
sys.modules[__name__] = strategies

"""The name in 0.1 of ``bridge.testing.erlang.terms``."""

import sys
import warnings

from .erlang import terms

warnings.warn(
    f"{__name__} is bridge.testing.erlang.terms since 0.2", DeprecationWarning, stacklevel=2
)
sys.modules[__name__] = terms

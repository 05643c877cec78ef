"""The name in 0.1 of ``bridge.testing.erlang.external_terms``."""

import sys
import warnings

from .erlang import external_terms

warnings.warn(
    f"{__name__} is bridge.testing.erlang.external_terms since 0.2",
    DeprecationWarning,
    stacklevel=2,
)
sys.modules[__name__] = external_terms

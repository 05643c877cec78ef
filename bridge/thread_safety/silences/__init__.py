"""What the author of a program says to be right: in comments of its lines, and in ``pyproject.toml``."""

from .scope import Scope
from .settings import CheckSettings, find_settings
from .silences import Silences

__all__ = ["CheckSettings", "Scope", "Silences", "find_settings"]

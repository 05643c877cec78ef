"""What the author of a program says to be right: in comments of its lines, and in ``pyproject.toml``."""

from .settings import CheckSettings, find_settings
from .silences import Silences

__all__ = ["CheckSettings", "Silences", "find_settings"]

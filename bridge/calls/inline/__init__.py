"""Quick tools run on the thread that reads, under watch."""

from .runner import InlineRunner
from .watchdog import Watchdog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .runner import Batch as Batch

__all__ = ["InlineRunner", "Watchdog"]

"""Large data beside the pipe: a file in memory that two processes of one machine have open.

Loaded when the first large value is to be sent or a peer asks for a place, and never without.
``docs/shared-memory.md`` says what users need of it, ``protos/stdio.md`` what peers do.
"""

from .arena import Arena, Loan
from .arguments import Held, LentArguments, materialize
from .memory_file import MemoryFile, why_unavailable
from .system_memory import free_memory

__all__ = [
    "Arena",
    "Held",
    "LentArguments",
    "Loan",
    "MemoryFile",
    "free_memory",
    "materialize",
    "why_unavailable",
]

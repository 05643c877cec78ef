"""Thread safety that can be checked: a race detector, a table of libraries, a report.

``bridge check`` (``check_adapter``, in ``exercise.py``) and ``--thread-safety-check`` use a
``ThreadSafetyChecker`` (``checker.py``). What happens to a program that is checked stands in
``instrument/``, which races there are in what it did in ``detector/``, what is documented about
libraries in ``libraries/``. Public is what stands in ``__all__``; nothing here is loaded to serve
without a check.
"""

from .checker import (
    ThreadSafetyChecker,
    ThreadSafetyError,
    ThreadSafetyWarning,
    check_common_pitfalls,
    log,
    require_thread_safe_adapter,
    validate_adapter_thread_safety,
    warn,
)
from .detector import Access, Finding
from .exercise import check_adapter
from .libraries import Libraries, Library, LibraryObject
from .reports import Report, ReportedFinding, page_of, sarif_of

__all__ = [
    "Access",
    "Finding",
    "Libraries",
    "Library",
    "LibraryObject",
    "Report",
    "ReportedFinding",
    "ThreadSafetyChecker",
    "ThreadSafetyError",
    "ThreadSafetyWarning",
    "check_adapter",
    "check_common_pitfalls",
    "log",
    "page_of",
    "require_thread_safe_adapter",
    "sarif_of",
    "validate_adapter_thread_safety",
    "warn",
]

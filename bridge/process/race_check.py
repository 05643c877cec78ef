"""The search for races of a process that serves: begun before its adapter, reported at its end."""

from __future__ import annotations

from .shutdown import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..thread_safety import ThreadSafetyChecker
    from .settings import Settings


def begin_check(settings: Settings) -> ThreadSafetyChecker | None:
    """Look for races from now on, for the rest of the process; None: nobody asked for it."""
    if settings.thread_safety is None:
        return None
    from ..thread_safety import ThreadSafetyChecker, log

    checker = ThreadSafetyChecker.for_adapter(
        settings.adapter, settings.app_dir, strict=settings.thread_safety.strict, note=log
    )
    return checker.__enter__()


def write_report(settings: Settings, checker: ThreadSafetyChecker | None) -> None:
    """Write what was found to the file of ``--thread-safety-report``, if there is one."""
    wanted = settings.thread_safety
    if checker is None or wanted is None or wanted.report is None:
        return
    import json

    try:
        with open(wanted.report, "w") as file:
            json.dump(checker.get_report(), file, indent=2)
    except OSError as error:
        complain(f"--thread-safety-report {wanted.report}: {error.strerror}")

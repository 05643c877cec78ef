"""A test that hangs prints the stacks of all threads."""

from __future__ import annotations

import faulthandler
import os
import time

#: Seconds without a new test after which stacks are printed.
SILENCE = 60.0


class StackWatch:
    """Sets one clock for many tests, as a plugin of pytest.

    pytest's own ``faulthandler_timeout`` starts and joins a thread for each test, which takes
    milliseconds where other programs wait for the processor as well, and there are thousands of tests.
    """

    def __init__(self) -> None:
        self._set_at = -SILENCE
        self._stderr = os.dup(2)  # as it is before pytest captures what tests print

    def pytest_runtest_setup(self) -> None:
        if time.monotonic() - self._set_at > SILENCE / 4:
            self._set_at = time.monotonic()
            faulthandler.dump_traceback_later(SILENCE, file=self._stderr)

    def pytest_enter_pdb(self) -> None:
        faulthandler.cancel_dump_traceback_later()

    def pytest_unconfigure(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        os.close(self._stderr)

"""The tool of the replicas: each run stands in a file."""

from __future__ import annotations

import os
import time

from bridge import ThreadSafeAdapter, tool


class ReplicaTools(ThreadSafeAdapter):
    """Served by each replica."""

    @tool
    def enters(self, ledger: str, number: int, seconds: float) -> int:
        """Write the number into the ledger, then take a while; the result is the process."""
        descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            # one write to a file opened for appending is whole, whoever else writes
            os.write(descriptor, f"{number}\n".encode())
        finally:
            os.close(descriptor)
        time.sleep(seconds)
        return os.getpid()

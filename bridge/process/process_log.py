"""What is logged in the process, on its way to the peer: when that may be sent, and of which call."""

from __future__ import annotations

import threading
import time
from collections import deque

from ..log import LogCapture
from ..running_call import outside_tool, running_call
from ..wire import sendable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..transports.stdio import StdioTransport
    from .settings import Settings

    #: When it was made, level, logger, text, fields.
    Held = tuple[float, str, str, str, dict[str, Any]]

#: So many records wait for the peer to hear that the process is ready. Others go to stderr.
_MAX_HELD = 1000


class ProcessLog:
    """The log records of the process, from the first import of the adapter on.

    ``$/ready`` is the first message, so records wait for it; should the process never get there,
    they are written to stderr.

    Args:
        settings: what the command line says.
        stdio: whose peer gets the records; None: all go to stderr.
    """

    def __init__(self, settings: Settings, stdio: StdioTransport | None) -> None:
        self._peer = None if stdio is None else stdio.peer
        self._holding = threading.Lock()
        self._held: deque[Held] | None = deque()
        send = None if stdio is None else self._send
        self._capture = LogCapture(settings.log_level, settings.log_format, send, outside_tool)
        self._capture.start()

    def open(self) -> None:
        """Send what waits, and from now on at once. The peer has been told that this serves."""
        self._capture.settle()
        with self._holding:
            held, self._held = self._held, None
            for _, level, logger, text, fields in held or ():
                self._send_now(level, logger, text, fields, None)

    def give_up(self) -> None:
        """Write what waits to stderr. The process will not serve."""
        with self._holding:
            held, self._held = self._held, None
        for made, level, logger, text, _ in held or ():
            self._capture.write(level, logger, text, time=made)

    def forked(self) -> None:
        """In a process that a tool has forked: the peer is the parent's."""
        self._capture.forked()

    def _send(self, level: str, logger: str, text: str, fields: dict[str, Any]) -> bool:
        if self._held is not None:
            plain = sendable(fields)  # now: it may change; and not with the lock, as it may log
            with self._holding:
                if self._held is not None:
                    if len(self._held) >= _MAX_HELD:
                        return False
                    self._held.append((time.time(), level, logger, text, plain))
                    return True
        key = None
        call = running_call.get(None)
        origin = None if call is None else call.log_origin()
        if origin is not None:
            peer, key, tool = origin
            fields["bridge_tool"] = tool
            if peer is not self._peer:
                key = None  # of another transport, whose numbers are its own
        return self._send_now(level, logger, text, fields, key)

    def _send_now(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> bool:
        assert self._peer is not None  # without one nothing is sent here
        return self._peer.send_log(level, logger, text, fields, key)


def warn_of_gil(modules: list[str]) -> None:
    """Say that importing ``modules`` has switched the GIL on."""
    from ..log import logger

    logger().warning(
        "importing %s switched the GIL on: tools take turns instead of running in parallel. "
        "Serve without it, or set PYTHON_GIL=0 at your own risk",
        ", ".join(modules),
    )

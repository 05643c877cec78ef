"""Log records: to the peer as ``$/log`` while there is one, otherwise to stderr.

``logging`` costs as much start-up as ``msgpack``. It is imported when the bridge has something
to say, and set up if the adapter uses it.
"""

from __future__ import annotations

import io
import sys

from .errors import cut, shorten, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any

    #: level, logger, text, fields: True if the record is on its way, False if there is no peer.
    Send = Callable[[str, str, str, dict[str, Any]], bool]

#: A longer text of a record is cut.
MAX_TEXT_BYTES = 1 << 16

LEVELS = ("debug", "info", "warning", "error")


def logger() -> logging.Logger:
    """The bridge's own logger, for what goes wrong inside it."""
    import logging

    return logging.getLogger("bridge")


def configure(level: str, form: str, send: Send | None) -> None:
    """Send records where they belong. Called once, on the main thread, when the adapter is loaded.

    Handlers that the adapter has set up stay.

    Args:
        level: One of ``LEVELS``; records below it are dropped.
        form: Of a line on stderr: ``text`` or ``json``.
        send: Gives a record to the peer; any thread calls it. None: all go to stderr.
    """
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                text = self._text(record)
                name = _level(record.levelno)
                if send is None or not send(name, record.name, text, {}):
                    print(_line(form, name, record, text), file=sys.stderr, flush=True)
            except Exception:
                self.handleError(record)

        def _text(self, record: logging.LogRecord) -> str:
            try:
                text = self.format(record)
            except BaseException as error:  # code of what is logged, SystemExit included
                text = (
                    f"{text_of(record.msg)} (what belongs there cannot be shown: {shorten(error)})"
                )
            return cut(text, MAX_TEXT_BYTES)

    root = logging.getLogger()
    root.addHandler(Handler())
    root.setLevel(level.upper())


def forgive_lost_output() -> None:
    """Let ``print`` lose what cannot be written, on a full disk or to a reader that has gone.

    The tool that prints would fail otherwise, and what it computed would be lost with its text.
    For the main thread, before tools run.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            raw = _Forgiving(stream.fileno(), "w", closefd=False)
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue  # there is none, or nothing behind it
        forgiving = io.TextIOWrapper(
            io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True
        )
        setattr(sys, name, forgiving)


class _Forgiving(io.FileIO):
    """What cannot be written is taken for written."""

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError:
            written = None
        # None also of a descriptor that does not wait until there is room
        return len(data) if written is None else written


def _level(number: int) -> str:
    return LEVELS[min(max(number // 10, 1), 4) - 1]


def _line(form: str, level: str, record: logging.LogRecord, text: str) -> str:
    if form == "text":
        return f"{level} {record.name}: {text}"
    import json

    fields = {"time": record.created, "level": level, "logger": record.name, "text": text}
    return json.dumps(fields | {"thread": record.threadName}, ensure_ascii=False)

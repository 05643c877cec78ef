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
#: Those that have one of these names in ``logging``, too; others say which they are.
_USUAL_NUMBERS = (10, 20, 30, 40)


def logger() -> logging.Logger:
    """The bridge's own logger, for what goes wrong inside it."""
    import logging

    return logging.getLogger("bridge")


class LogCapture:
    """Sends the records of ``logging`` where they belong, whichever handlers there are.

    Records are taken where a logger gives them to its handlers, and not by a handler: so those of
    loggers that do not propagate come as well, an adapter that configures ``logging`` takes nothing
    away, and ``logging.basicConfig`` works as if there were no bridge. The handlers that an adapter
    sets up get their records as ever.

    Args:
        level: One of ``LEVELS``; records below it are dropped.
        form: Of a line on stderr: ``text`` or ``json``.
        send: Gives a record to the peer; any thread calls it. None: all go to stderr.
        outside: For ``with``, around what a record passes on its way: there are locks that others
            need, so that no tool may be interrupted there.
    """

    def __init__(
        self, level: str, form: str, send: Send | None, outside: Callable[[], Any]
    ) -> None:
        self._level = level
        self._form = form
        self._send = send
        self._outside = outside

    def start(self) -> None:
        """From now on; or, as long as nobody has imported ``logging``, from its import on.

        On the main thread, before there are others.
        """
        if "logging" in sys.modules:
            self._attach(sys.modules["logging"])
        else:
            sys.meta_path.insert(0, _LoggingFinder(self._attach))

    def settle(self) -> None:
        """Have the root logger let pass what is to be sent, should an adapter have set it higher."""
        logging: Any = sys.modules.get("logging")
        if logging is not None and logging.root.level > _number(self._level):
            logging.root.setLevel(_number(self._level))

    def forked(self) -> None:
        """In a process that a tool has forked: the peer is the parent's, stderr is there."""
        self._send = None

    def write(self, level: str, logger: str, text: str, **more: Any) -> None:
        """Write a record to stderr: a line of text, or of JSON with whatever more is known."""
        if self._form == "text":
            line = f"{level} {logger}: {text}"
        else:
            import json

            fields = {"level": level, "logger": logger, "text": text}
            line = json.dumps(more | fields, ensure_ascii=False, default=shorten)
        if sys.stderr is not None:  # else print() would write to stdout, which may be the protocol
            print(line, file=sys.stderr, flush=True)

    def _attach(self, logging: Any) -> None:
        take = self._record_taker(logging)
        to_handlers, outside = logging.Logger.callHandlers, self._outside

        def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            with outside():
                take(record)
                if logger.hasHandlers():  # else it would write the bare text to stderr
                    to_handlers(logger, record)

        logging.Logger.callHandlers = call_handlers
        self.settle()

    def _record_taker(self, logging: Any) -> Callable[[logging.LogRecord], None]:
        """What gets every record of ``logging``, which the caller has just imported."""
        handler = logging.Handler()  # formats; no logger has it
        # below "debug" there is no level, but what a logger was told to let pass
        lowest = _number(self._level) if self._level != "debug" else logging.NOTSET
        usual = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}

        def take(record: logging.LogRecord) -> None:
            try:
                if record.levelno < lowest:
                    return
                level, text = _level(record.levelno), _text(handler, record)
                send = self._send
                if send is None or not send(level, record.name, text, _fields(record, usual)):
                    self.write(
                        level, record.name, text, time=record.created, thread=record.threadName
                    )
            except Exception:
                handler.handleError(record)

        return take


class _LoggingFinder:
    """Calls ``attach`` with the module ``logging`` when that is imported, before anybody has it.

    The import system lets one thread at a time import a module, and others wait for it.
    """

    def __init__(self, attach: Callable[[Any], None]) -> None:
        self._attach = attach

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "logging":
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    spec.loader = _LoggingLoader(spec.loader, self._loaded)  # type: ignore[assignment]
                    return spec
        return None

    def _loaded(self, logging: Any) -> None:
        sys.meta_path.remove(self)
        self._attach(logging)


class _LoggingLoader:
    """Loads a module as ``loader`` does, and tells ``loaded``."""

    def __init__(self, loader: Any, loaded: Callable[[Any], None]) -> None:
        self._loader = loader
        self._loaded = loaded

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._loaded(module)


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


def _number(level: str) -> int:
    """The number that ``logging`` has for one of ``LEVELS``."""
    return 10 * (LEVELS.index(level) + 1)


def _level(number: int) -> str:
    return LEVELS[min(max(number // 10, 1), 4) - 1]


def _text(handler: logging.Handler, record: logging.LogRecord) -> str:
    try:
        text = handler.format(record)
    except BaseException as error:  # code of what is logged, SystemExit included
        text = f"{text_of(record.msg)} (what belongs there cannot be shown: {shorten(error)})"
    return cut(text, MAX_TEXT_BYTES)


def _fields(record: logging.LogRecord, usual: set[str]) -> dict[str, Any]:
    """What was given as ``extra``, and where the record was made.

    The latter has the names that a record has for it, which ``logging`` does not take in ``extra``.
    """
    fields = {name: value for name, value in vars(record).items() if name not in usual}
    fields["pathname"] = record.pathname
    fields["lineno"] = record.lineno
    fields["funcName"] = record.funcName
    if record.levelno not in _USUAL_NUMBERS:
        fields["levelno"] = record.levelno
        fields["levelname"] = record.levelname
    return fields

"""``bridge call``: run one tool in this process, as a caller would see it."""

from __future__ import annotations

import argparse
import json
import pprint
import signal
import sys
import threading
from contextlib import suppress
from math import isfinite

from ..calls import Dispatcher, Peer, Sink
from ..errors import CallError, UsageError, cut, shorten, text_of
from ..loading import build, resolve, with_allowed
from ..options import Seconds
from ..process.adapter_life import build_adapter, close, make_pool, set_up
from ..wire import CallOptions, Encoder, Forms, Request, decode_value, sendable
from .command import ADAPTER_HELP, ALLOW, CLEAN, FAILED, discard_output, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..calls import CallView, Pool
    from ..loading import LoadedAdapter

SUMMARY = "Run one tool in this process, as a caller would see it."
_BAR = 30
#: So many characters of what cannot be shown as a whole.
_MAX_SHOWN = 1000
_TIMEOUT = Seconds()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge call`` takes to its ``parser``."""
    parser.add_argument("adapter", help=ADAPTER_HELP)
    parser.add_argument(
        "--allow", type=reader(ALLOW), metavar=ALLOW.metavar, help="as where it is served"
    )
    parser.add_argument("tool")
    parser.add_argument(
        "arguments", nargs="?", default="[]", help="a JSON array (by position) or object (by name)"
    )
    parser.add_argument(
        "--timeout",
        type=reader(_TIMEOUT),
        metavar=_TIMEOUT.metavar,
        help="the deadline of the call (default: none)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command, on the main thread: Ctrl-C cancels the call.

    Args:
        options: What ``add_arguments`` asks for, and ``app_dir``.

    Returns:
        The exit code: 1 if the call failed, 2 for arguments that are no JSON array or object.

    Raises:
        AdapterError: If the adapter cannot be imported or set up.
    """
    try:
        params = json.loads(options.arguments)
    except RecursionError:
        raise UsageError("arguments are nested too deeply") from None
    except ValueError as error:
        params = error
    if not isinstance(params, list | dict):
        why = f": {params}" if "digits" in str(params) else ""  # it is JSON, but for that
        raise UsageError(
            "arguments must be a JSON array or object, like '[1, 2]' or '{\"x\": 1}'; got "
            f"{cut(options.arguments, _MAX_SHOWN)}{why}"
        )
    found = resolve(options.adapter, options.app_dir)
    target = with_allowed(options.adapter, found, options.allow)
    pool = make_pool(1, 1)  # the call may have to wait for the end of what sets the adapter up
    adapter = build_adapter(pool, build, options.adapter, target)
    set_up(pool, adapter)
    idle = False
    try:
        code = _run_call(pool, adapter, options.tool, params, options.timeout)
        idle = not any(worker.job for worker in pool.workers)
        return code
    finally:
        close(pool, adapter, idle)


def _run_call(
    pool: Pool, adapter: LoadedAdapter, name: str, params: Any, timeout_s: float | None
) -> int:
    peer = _Console(Forms(adapter.encoders))
    dispatcher = Dispatcher(adapter.tools, pool)
    tool = adapter.tools.get(name)
    credit = (sys.maxsize, sys.maxsize) if tool is not None and tool.streaming else None
    # the handler may run on this thread while it holds the lock that an answer needs
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    dispatcher.dispatch(Request(0, name, params, CallOptions(timeout_s, credit=credit)), peer)
    while not peer.answered.wait(0.05):
        if interrupts:
            dispatcher.cancel(0)
    dispatcher.wait_until_idle(1.0)
    return peer.code


class _Console(Peer, Sink):
    """A peer that shows the outcome of one call: results on stdout, the rest on stderr."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self.answered = threading.Event()
        self.code = CLEAN
        self._bar_shown = False

    def send_result(self, key: int, result: Any) -> None:
        text = _pretty(result, "result", self._forms)
        self._clear_bar()
        try:
            if result is not None:
                print(text, flush=True)
        except BrokenPipeError:
            discard_output()
        except OSError as error:  # the disk is full, or the tool has closed it
            discard_output()
            self.code = FAILED
            with suppress(OSError):
                print(f"bridge: stdout: {error.strerror}", file=sys.stderr, flush=True)
        finally:
            self.answered.set()

    def send_error(self, key: int, error: CallError) -> None:
        self.code = FAILED
        try:
            self._clear_bar()
            if error.traceback:
                print("\n".join(error.traceback), file=sys.stderr)
            print(f"{error.code}: {error.message}", file=sys.stderr, flush=True)
        finally:
            self.answered.set()

    def open_stream(self, call: CallView) -> _Console:
        return self

    def wait(self) -> None:
        """The console takes everything."""

    def send(self, item: Any) -> None:
        text = _pretty(item, "item", self._forms)
        self._clear_bar()
        print(text, flush=True)

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        # what the tool gives may be anything, and its call does not fail for that
        done, total, text = (sendable(value) for value in (done, total, text))
        bar = ""
        if isinstance(done, int | float) and isinstance(total, int | float) and total > 0:
            filled = int(_BAR * min(max(done, 0) / total, 1)) if isfinite(done / total) else 0
            bar = f"[{'#' * filled}{' ' * (_BAR - filled)}] "
        shown = _amount(done) + (f"/{_amount(total)}" if total else "")
        line = " ".join(f"{bar}{shown} {'' if text is None else text}".split("\n")).rstrip()
        start, end = ("\r\033[K", "") if sys.stderr.isatty() else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)
        self._bar_shown = True

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> None:
        self._clear_bar()
        shown = "".join(f" {text_of(name)}={shorten(value)}" for name, value in fields.items())
        line = f"{text_of(level)} {text_of(logger)}: {text_of(text)}{shown}"
        print(line, file=sys.stderr, flush=True)

    def _clear_bar(self) -> None:
        if self._bar_shown and sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self._bar_shown = False


def _amount(value: Any) -> str:
    try:
        return f"{value:g}"
    except (TypeError, ValueError, OverflowError):
        return shorten(value)


def _pretty(value: Any, name: str, forms: Forms) -> str:
    """A result as a person reads it. Raises ``EncodeError`` for what could not travel."""
    data = bytes(Encoder(forms=forms).value(value, name))
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=True)
    except Exception:
        pass  # what JSON lacks
    try:
        return pprint.pformat(value)
    except BaseException:  # code of the value's class, SystemExit included
        return shorten(decode_value(data), _MAX_SHOWN)

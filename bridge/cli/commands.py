"""The subcommands for people: ``bridge tools``, ``bridge call`` and ``bridge doctor``."""

from __future__ import annotations

import argparse
import json
import os
import pprint
import shutil
import signal
import subprocess
import sys
import threading
from importlib import metadata

from .. import __version__
from ..calls.dispatcher import Dispatcher
from ..calls.pool import Pool
from ..errors import AdapterError, CallError
from ..loading import load
from ..wire.codec import Encoder
from ..wire.messages import CallOptions, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..calls.call import Call
    from ..loading import LoadedAdapter

CLEAN, FAILED, USAGE = 0, 1, 2
_BAR = 30


def main(argv: Sequence[str]) -> int:
    """Run a subcommand. Returns 0, 1 if it failed, 2 if it could not be understood."""
    options = _parser().parse_args(argv)
    try:
        run: Any = options.run
        code: int = run(options)
        sys.stdout.flush()  # here, where a reader that has left can be dealt with
    except AdapterError as error:
        print(f"bridge: {error}", file=sys.stderr)
        code = FAILED
    except BrokenPipeError:
        _discard_output()
        code = CLEAN
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bridge")
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    tools = command("tools", _tools, "List the tools of an adapter.")
    tools.add_argument("adapter", help="MODULE:CLASS, MODULE.CLASS or MODULE")
    tools.add_argument("--json", action="store_true", help="as $/tools answers it")

    call = command("call", _call, "Run one tool in this process, as a caller would see it.")
    call.add_argument("adapter", help="MODULE:CLASS, MODULE.CLASS or MODULE")
    call.add_argument("tool")
    call.add_argument(
        "arguments", nargs="?", default="[]", help="a JSON array (by position) or object (by name)"
    )
    call.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="the deadline of the call (default: none)"
    )

    check = command("check", _check, "Run an adapter's tools from several threads; report races.")
    check.add_argument("adapter", help="MODULE:CLASS, MODULE.CLASS or MODULE")
    check.add_argument("--threads", type=int, default=4, metavar="N", help="(default: 4)")
    check.add_argument(
        "--calls", type=int, default=50, metavar="N", help="about so many in all (default: 50)"
    )
    check.add_argument("--json", action="store_true", help="the report for programs")
    check.epilog = (
        "Tools without arguments are called as they are, others with their examples, "
        "@tool(examples=[[1, 2]]). Exit code: 0 nothing was found, 1 something was, 2 the adapter "
        "could not be run."
    )

    doctor = command("doctor", _doctor, "Show what this interpreter has, and what is missing.")
    doctor.add_argument("adapter", nargs="?", help="an adapter to load and set up as well")
    for sub in (tools, call, check, doctor):
        sub.add_argument(
            "--app-dir",
            metavar="DIR",
            help="where to import the adapter from (default: the working directory)",
        )
    return parser  # fmt: skip


# -- bridge tools ---------------------------------------------------------------------------


def _tools(options: argparse.Namespace) -> int:
    tools = load(options.adapter, options.app_dir).tools
    if options.json:
        print(json.dumps([tools[name].describe() for name in sorted(tools)], indent=2))
        return CLEAN
    width = max(len(tool.signature) for tool in tools.values())
    for name in sorted(tools):
        tool = tools[name]
        marks = [mark for mark, on in (("streams", tool.streaming), ("async", tool.is_async), ("serial", tool.serial)) if on]  # fmt: skip
        summary = tool.description.partition("\n")[0]
        print(f"{tool.signature:<{min(width, 60)}}  {' '.join([*(f'[{m}]' for m in marks), summary])}".rstrip())  # fmt: skip
    return CLEAN


# -- bridge call ----------------------------------------------------------------------------


def _call(options: argparse.Namespace) -> int:
    try:
        params = json.loads(options.arguments)
    except ValueError as error:
        params = error
    if not isinstance(params, list | dict):
        print(
            f"bridge: arguments must be a JSON array or object, like '[1, 2]' or "
            f"'{{\"x\": 1}}'; got {options.arguments}",
            file=sys.stderr,
        )
        return USAGE
    adapter = load(options.adapter, options.app_dir)
    adapter.setup()
    try:
        return _run_call(adapter, options.tool, params, options.timeout)
    finally:
        adapter.close()


def _run_call(adapter: LoadedAdapter, name: str, params: Any, timeout_s: float | None) -> int:
    peer = _Console()
    pool = Pool(1, 0)
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


class _Console:
    """A peer that shows the outcome of one call: results on stdout, the rest on stderr."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.code = CLEAN
        self._bar_shown = False

    def send_result(self, key: int, result: Any) -> None:
        Encoder().value(result, "result")  # what could not travel shall fail here too
        self._clear_bar()
        try:
            if result is not None:
                print(_pretty(result), flush=True)
        except BrokenPipeError:
            _discard_output()
        finally:
            self.answered.set()

    def send_error(self, key: int, error: CallError) -> None:
        self._clear_bar()
        if error.traceback:
            print("\n".join(error.traceback), file=sys.stderr)
        print(f"{error.code}: {error.message}", file=sys.stderr, flush=True)
        self.code = FAILED
        self.answered.set()

    def open_stream(self, call: Call) -> _Console:
        return self

    def wait(self) -> None:
        """The console takes everything."""

    def send(self, item: Any) -> None:
        Encoder().value(item, "item")
        self._clear_bar()
        print(_pretty(item), flush=True)

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        bar = ""
        if total:
            filled = int(_BAR * min(done / total, 1))
            bar = f"[{'#' * filled}{' ' * (_BAR - filled)}] "
        line = f"{bar}{done:g}{f'/{total:g}' if total else ''} {text or ''}".rstrip()
        start, end = ("\r\033[K", "") if sys.stderr.isatty() else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)
        self._bar_shown = True

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> None:
        self._clear_bar()
        shown = "".join(f" {name}={value!r}" for name, value in fields.items())
        print(f"{level} {logger}: {text}{shown}", file=sys.stderr, flush=True)

    def _clear_bar(self) -> None:
        if self._bar_shown and sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self._bar_shown = False


def _discard_output() -> None:
    """Nobody reads stdout any more, as behind ``| head``: what is still to come goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _pretty(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=True)
    except (TypeError, ValueError):
        return pprint.pformat(value)


# -- bridge doctor --------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    from ..thread_safety.exercise import check_adapter

    if options.threads < 2 or options.calls < 2:
        print("bridge: a race needs two threads, and two calls", file=sys.stderr)
        return USAGE
    try:
        report = check_adapter(options.adapter, options.app_dir, options.threads, options.calls)
    except AdapterError as error:
        print(f"bridge: {error}", file=sys.stderr)
        return USAGE
    if options.json:
        print(json.dumps(report.describe(), indent=2))
    else:
        print(report.text, end="")
    return FAILED if report.findings else CLEAN


def _doctor(options: argparse.Namespace) -> int:
    import sysconfig

    from ..gil import describe_python

    python = describe_python()
    gil = "GIL on" if python["gil"] else "GIL off"
    build = (
        "free-threaded build" if sysconfig.get_config_var("Py_GIL_DISABLED") else "ordinary build"
    )
    healthy = True
    print(f"bridge      {__version__}")
    print(f"python      {python['version']} ({python['implementation']}, {build}, {gil}) {python['executable']}")  # fmt: skip
    for package, needed, use in (
        ("msgpack", True, "always"),
        ("numpy", False, "for tensors: pip install 'beam-bridge[numpy]'"),
        ("grpcio", False, "for --transport grpc: pip install 'beam-bridge[grpc]'"),
    ):
        try:
            note = metadata.version(package)
        except metadata.PackageNotFoundError:
            note = f"{'MISSING' if needed else 'not installed'}, needed {use}"
            healthy = healthy and not needed
        print(f"{package:<11} {note}")
    print(f"elixir      {_elixir()}")
    print(f"workers     {min(32, (os.cpu_count() or 1) + 4)} by default ({os.cpu_count()} cores)")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        print(f"{name:<11} {_descriptor(number)}")
    if options.adapter:
        adapter = load(options.adapter, options.app_dir)
        adapter.setup()
        adapter.close()
        safe = "declares itself thread-safe" if adapter.thread_safe else "needs --max-workers 1"
        print(f"adapter     {adapter.name}: {len(adapter.tools)} tools, {safe}")
    return CLEAN if healthy else FAILED


def _elixir() -> str:
    path = shutil.which("elixir")
    if path is None:
        return "not found; on Debian and Ubuntu: apt-get install elixir, elsewhere https://elixir-lang.org/install.html"  # fmt: skip
    lines = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return f"{lines.strip().splitlines()[-1] if lines.strip() else 'does not start'} {path}"


def _descriptor(number: int) -> str:
    import stat

    try:
        mode = os.fstat(number).st_mode
    except OSError:
        return "closed"
    kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISREG, "file"))
    if os.isatty(number):
        return "terminal"
    return next((name for test, name in kinds if test(mode)), "device")

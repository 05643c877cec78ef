"""The executable that takes the place of the Python interpreter in Snakepit.

Snakepit starts ``python_executable``, its own script and arguments. With this executable there,
the bridge serves instead of the script, and Snakepit's Elixir side does not notice. What is meant
for the interpreter itself, ``-c CODE`` for example, is handed on to it.
"""

from __future__ import annotations

import argparse
import os
import sys

from .. import __version__
from ..errors import AdapterError
from ..loading import resolve
from ..process import stdin_watch
from ..process.platforms import check_platform
from ..process.server import Server
from ..process.settings import Settings, ThreadSafetySettings, default_workers
from ..process.shutdown import FATAL
from ..transports.grpc.settings import GrpcSettings
from . import adapter
from .instances import MainThread
from .version import find_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..loading import LoadedAdapter
    from ..running_call import Elixir
    from ..tool import Tool
    from ..transports.grpc.service import ServiceFactory
    from .telemetry import Telemetry
    from .version import Version

#: Up to 0.8 Snakepit kills a worker 2 seconds after SIGTERM, later after 6.
_GRACE_S = 1.4
#: How many threads may run what nobody waits for any more, while others have their places.
_ABANDONED = 64
#: What Snakepit sends and takes at most.
_MAX_MESSAGE_BYTES = 100 << 20
_READY_FILE = "SNAKEPIT_READY_FILE"
_DESCRIPTION = """\
Takes the place of the Python interpreter that Snakepit starts: set python_executable, or
$SNAKEPIT_PYTHON, to the path of this program. Options that it does not know are ignored.
See docs/coming-from-snakepit.md
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: that of the process). Returns the exit code."""
    check_platform()
    arguments = list(sys.argv[1:] if argv is None else argv)
    first = arguments[0] if arguments else ""
    if first.startswith("-") and not first.startswith("--") and first != "-h":
        os.execv(sys.executable, [sys.executable, *arguments])
    script = None
    if not first.startswith("-"):
        script = arguments.pop(0) if arguments else None
        # what stands beside a script can be imported by it
        sys.path.insert(0, os.path.dirname(os.path.abspath(first)))
    parser = _parser()
    options, _ignored = parser.parse_known_args(arguments)
    if options.health_check:
        return _check(options.adapter)
    if options.adapter is None:
        parser.error("the following arguments are required: --adapter")
    _look_like_python()
    return serve(options, find_version(script, arguments, os.environ))


def serve(options: argparse.Namespace, version: Version) -> int:
    """Serve as Snakepit knows it: announce a port, and end with stdin. Returns the exit code.

    Args:
        options: those of the command line.
        version: the version of Snakepit that waits for the port.
    """
    ready_file = os.environ.get(_READY_FILE)
    workers: int | None = options.max_workers
    settings = Settings(
        adapter=options.adapter,
        max_workers=default_workers() if workers is None else max(1, workers),
        max_message_bytes=_MAX_MESSAGE_BYTES,
        grace_s=options.grace,
        transport=("grpc",),
        # both addresses that a client may find under this name
        grpc=GrpcSettings(host="localhost", port=options.port, ready_file=ready_file),
        thread_safety=ThreadSafetySettings(check=True) if options.thread_safety_check else None,
        log_level=_log_level(options.thread_safety_check),
    )

    telemetry: list[Telemetry] = []

    def build(name: str, target: object) -> LoadedAdapter:
        (events,) = telemetry
        events.attach()
        built = adapter.build(
            name,
            target,
            shares=workers is not None,
            main_thread=MainThread(server.queue.post),
            correlate=events.correlate,
        )
        events.attach()  # what __init__ has imported
        return built

    def services() -> Sequence[ServiceFactory]:
        from .service import SnakepitService
        from .telemetry import Telemetry

        events = Telemetry()
        telemetry.append(events)
        return [lambda caller: SnakepitService(caller, version, events)]

    def elixir(tools: Mapping[str, Tool]) -> Elixir | None:
        if not options.elixir_address:
            return None
        from .elixir import SnakepitElixir

        return SnakepitElixir(options.elixir_address, _MAX_MESSAGE_BYTES, tools)

    # Heartbeats need the interpreter even while every worker keeps it busy: with 16 such workers
    # and Python's own 5 ms, each takes more than a second.
    server = Server(
        settings,
        build=build,
        services=services,
        elixir=elixir,
        switches_often=True,
        spare_workers=max(0, options.max_abandoned),
    )
    stdin_watch.watch_stdin(lambda: server.end("peer gone"))
    if sys.stdout is not None:
        # Elixir logs what tools print, and shall not wait for it
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return server.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bridge-snakepit", description=_DESCRIPTION, allow_abbrev=False
    )
    add = parser.add_argument
    add("--adapter", metavar="MODULE.CLASS", help="the class whose tools are served")
    add(
        "--max-workers",
        metavar="N",
        type=int,
        help="threads that run tools, for an adapter that is thread-safe (default: min(32, cores "
        "+ 4), as Snakepit has them, for any adapter)",
    )
    add(
        "--max-abandoned",
        metavar="N",
        type=int,
        default=_ABANDONED,
        help="threads that may go on with calls that nobody waits for any more, while others take "
        "their places (default: %(default)s)",
    )
    add("--port", metavar="N", type=int, default=0, help="where to listen (default: any free port)")
    add(
        "--elixir-address",
        metavar="HOST:PORT",
        default=os.environ.get("SNAKEPIT_GRPC_ADDRESS")
        or os.environ.get("SNAKEPIT_ELIXIR_ADDRESS"),
        help="where tools of Elixir can be called (default: $SNAKEPIT_GRPC_ADDRESS)",
    )
    add(
        "--grace",
        metavar="SECONDS",
        type=float,
        default=_GRACE_S,
        help="time for running calls when the process ends (default: %(default)s)",
    )
    add("--thread-safety-check", action="store_true", help="look for races while tools run")
    add("--health-check", action="store_true", help="say by the exit code whether it could serve")
    add("--version", action="version", version=f"bridge {__version__}")
    return parser


def _check(adapter: str | None) -> int:
    """Whether the adapter can be imported, and calls are answered here. Returns the exit code."""
    try:
        if adapter is not None:
            resolve(adapter)
    except AdapterError as error:
        print(f"bridge: {error}", file=sys.stderr)
        return FATAL
    from ..trial import SNAKEPIT, try_transport

    # not with the adapter: its models may take minutes
    trial = try_transport(SNAKEPIT)
    if trial.fault:
        print(f"bridge: {trial.fault}", file=sys.stderr)
        return FATAL
    return 0


def _look_like_python() -> None:
    """Be found by those who clean up after a VM that died.

    They look for processes that are called python, and may signal the process group. The command
    line is as it was, with the script and the run's id in it.
    """
    if os.environ.get("SNAKEPIT_PROCESS_GROUP"):
        try:
            os.setsid()
        except OSError:
            pass  # it leads a group already, as a port program does
    try:
        with open("/proc/self/comm", "r+") as file:
            # started as a script, it has the script's name
            if "python" not in file.read():
                file.write("python")
    except OSError:
        pass  # not Linux


def _log_level(check: bool) -> str:
    """What Snakepit wants to have logged, but in any case the races that it has looked for."""
    level = os.environ.get("SNAKEPIT_LOG_LEVEL", "warning")
    if level in ("debug", "info", "warning"):
        return level
    return "warning" if check else "error"

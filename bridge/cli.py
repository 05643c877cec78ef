"""The command line: arguments to settings, and the subcommands for people."""

from __future__ import annotations

import argparse
import os
import sys

from . import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .server import ThreadSafetySettings
    from .transports.grpc_settings import GrpcSettings

_COMMANDS = ("tools", "call", "check", "doctor")

_DESCRIPTION = """\
Serve Python functions to Elixir, or any program that speaks MessagePack-RPC over pipes.

Without a command it serves: Elixir starts it with Port.open and calls its tools. Commands for
people:

  bridge tools ADAPTER               list the tools of an adapter
  bridge call ADAPTER TOOL [ARGS]    run one tool here; ARGS is a JSON array or object
  bridge check ADAPTER               look for races between its tools
  bridge doctor [ADAPTER]            show interpreter, packages and what is missing
"""
_EPILOG = """\
An ADAPTER is MODULE:CLASS, MODULE.CLASS, or MODULE whose functions are marked @tool.

  python -m bridge --adapter my_app.tools:Tools --max-workers 8
  python -m bridge call my_app.tools:Tools add '[1, 2]'
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: that of the process). Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in _COMMANDS:
        from . import commands

        return commands.main(arguments)
    options = _parser().parse_args(arguments)
    stdio = "stdio" in options.transport
    if stdio and sys.stdin is not None and options.fds == (0, 1) and os.isatty(0):
        print(
            "bridge: this is the port program; Elixir starts it and talks MessagePack to it.\n"
            "To try a tool from here: bridge call ADAPTER TOOL '[1, 2]'. To serve other programs\n"
            "over the network: --transport grpc. See bridge --help",
            file=sys.stderr,
        )
        return 2

    from .server import Server, Settings

    settings = Settings(
        options.adapter,
        app_dir=options.app_dir,
        max_workers=options.max_workers,
        max_queue=options.max_queue,
        max_message_bytes=options.max_message_bytes,
        grace_s=options.grace,
        descriptors=options.fds if stdio else None,
        grpc=_grpc_settings(options) if "grpc" in options.transport else None,
        ready_file=options.ready_file,
        thread_safety=_thread_safety_settings(options),
        inline=not options.no_inline,
        log_level=options.log_level,
        log_format=options.log_format,
    )
    return Server(settings).run()


def _grpc_settings(options: argparse.Namespace) -> GrpcSettings:
    from .transports.grpc_settings import GrpcSettings

    return GrpcSettings(
        host=options.host,
        port=options.port,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        tls_client_ca=options.tls_client_ca,
        insecure=options.insecure,
        token_file=options.token_file,
        reflection=options.reflection,
    )


def _thread_safety_settings(options: argparse.Namespace) -> ThreadSafetySettings | None:
    from .server import ThreadSafetySettings

    strict, report = options.thread_safety_strict, options.thread_safety_report
    if not (options.thread_safety_check or strict or report):
        return None
    return ThreadSafetySettings(strict, report)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bridge",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--adapter", required=True, help="what to serve: MODULE:CLASS, MODULE.CLASS or MODULE")
    add("--app-dir", metavar="DIR", help="where to import it from (default: the working directory)")
    add(
        "--max-workers",
        metavar="N",
        type=_number(1),
        help="threads that run tools (default: min(32, cores + 4))",
    )
    add(
        "--max-queue",
        metavar="N",
        type=_number(0),
        default=1024,
        help="calls that may wait for a worker; one more is refused at once (default: 1024)",
    )
    add(
        "--no-inline",
        action="store_true",
        help="run every call on a worker, also of tools that take but microseconds",
    )
    add(
        "--max-message-bytes",
        metavar="N",
        type=_number(1024),
        default=64 << 20,
        help="a longer message is refused (default: 67108864)",
    )
    add(
        "--grace",
        metavar="SECONDS",
        type=_seconds,
        default=5.0,
        help="time for running calls when the process ends (default: 5)",
    )
    add(
        "--fds",
        metavar="IN,OUT",
        type=_descriptors,
        default=(0, 1),
        help="descriptors of the protocol: 0,1, or 3,4 for Erlang's :nouse_stdio (default: 0,1)",
    )
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="(default: warning)",
    )
    add(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="of log lines on stderr (default: text)",
    )
    add(
        "--transport",
        metavar="NAMES",
        type=_transports,
        default=("stdio",),
        help="stdio, grpc, or stdio,grpc for both at once (default: stdio)",
    )
    add = parser.add_argument_group(
        "gRPC", "Where --transport grpc listens. Files are read again when they change."
    ).add_argument
    add("--host", default="127.0.0.1", help="name, address or unix:PATH (default: 127.0.0.1)")
    add(
        "--port",
        metavar="N",
        type=_port,
        default=50051,
        help="0 takes a free one, which is printed as GRPC_READY:PORT (default: 50051)",
    )
    add("--ready-file", metavar="FILE", help="write the port there once it serves")
    add("--tls-cert", metavar="FILE", help="certificate chain of the server, PEM")
    add("--tls-key", metavar="FILE", help="its private key, PEM")
    add("--tls-client-ca", metavar="FILE", help="admit only clients with a certificate of these")
    add("--insecure", action="store_true", help="listen on a public address in clear text")
    add("--token-file", metavar="FILE", help='calls must carry "authorization: Bearer TOKEN"')
    add("--reflection", action="store_true", help="let clients ask for the service's definition")
    add = parser.add_argument_group("threads").add_argument
    add("--thread-safety-check", action="store_true", help="look for races while serving (slow)")
    add("--thread-safety-strict", action="store_true", help="and raise in the call that has one")
    add("--thread-safety-report", metavar="FILE", help="and write what was found there at the end")
    add = parser.add_argument
    add("--version", action="version", version=f"bridge {__version__}")
    return parser  # fmt: skip


def _number(least: int):  # type: ignore[no-untyped-def]
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is below {least}")
        return value

    return number


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds, 0 or more")
    return value


def _transports(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= {"stdio", "grpc"} or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not stdio, grpc, or stdio,grpc")
    return names


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65536:
        raise argparse.ArgumentTypeError(f"{value} is no port; 0 takes a free one")
    return value


def _descriptors(text: str) -> tuple[int, int]:
    source, comma, sink = text.partition(",")
    if not (comma and source.isdigit() and sink.isdigit() and source != sink):
        raise argparse.ArgumentTypeError(f"{text!r} is not two descriptors, like 3,4")
    return int(source), int(sink)

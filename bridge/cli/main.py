"""The command line: arguments to settings, and the subcommands for people."""

from __future__ import annotations

import os
import sys

from ..process.platforms import check_platform
from . import options as command_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..process.settings import ThreadSafetySettings
    from ..transports.grpc.settings import GrpcSettings
    from .options import Options

_COMMANDS = ("tools", "call", "check", "doctor")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: that of the process). Returns the exit code."""
    check_platform()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in _COMMANDS:
        from .command import run_command

        return run_command(arguments[0], arguments[1:])
    if arguments and not arguments[0].startswith("-"):
        return _no_such_command(arguments[0])
    options = command_line.read(arguments)
    stdio = "stdio" in options.transport
    if stdio and sys.stdin is not None and options.fds == (0, 1) and os.isatty(0):
        print(
            "bridge: this is the port program; Elixir starts it and talks MessagePack to it.\n"
            "To try a tool from here: python -m bridge call ADAPTER TOOL '[1, 2]'. To serve other\n"
            "programs over the network: --transport grpc. See python -m bridge --help",
            file=sys.stderr,
        )
        return 2

    from ..process.server import Server
    from ..process.settings import Settings

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


def _no_such_command(word: str) -> int:
    from difflib import get_close_matches

    close = get_close_matches(word, _COMMANDS, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    print(
        f"bridge: there is no command {word!r}{meant}\n"
        f"The commands are {', '.join(_COMMANDS)}; without one the bridge serves an adapter. See "
        "python -m bridge --help",
        file=sys.stderr,
    )
    return 2


def _grpc_settings(options: Options) -> GrpcSettings:
    from ..transports.grpc.settings import GrpcSettings

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


def _thread_safety_settings(options: Options) -> ThreadSafetySettings | None:
    from ..process.settings import ThreadSafetySettings

    strict, report = options.thread_safety_strict, options.thread_safety_report
    if not (options.thread_safety_check or strict or report):
        return None
    return ThreadSafetySettings(strict, report)

"""The options of the server: what they are called, what they take, and what they are for.

``argparse`` takes as long to load as all the rest of the bridge. A command line without a mistake
needs nothing of it: it is read here, and only another one, or ``--help``, is left to argparse.
"""

from __future__ import annotations

from .. import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import Any

_DESCRIPTION = """\
Serve Python functions to Elixir, or any program that speaks MessagePack-RPC over pipes.

Without a command it serves: Elixir starts it with Port.open and calls its tools. Commands for
people:

  python -m bridge tools ADAPTER               list the tools of an adapter
  python -m bridge call ADAPTER TOOL [ARGS]    run one tool here; ARGS is a JSON array or object
  python -m bridge check ADAPTER               look for races between its tools
  python -m bridge doctor [ADAPTER]            try every transport; show what is missing, and
                                               the command that mends it here

beam-bridge is the same as python -m bridge.
"""
_EPILOG = """\
An ADAPTER is MODULE:CLASS, MODULE.CLASS, or MODULE whose functions are marked @tool.

  python -P -m bridge --adapter my_app.tools:Tools --max-workers 8
  python -m bridge call my_app.tools:Tools add '[1, 2]'
"""


class Options:
    """The values of all options by name: ``max_workers`` is that of ``--max-workers``."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class Option:
    """One option. ``takes``: what a value is called, None: it is a switch. ``read`` makes the value
    of its text, and raises ``ValueError`` saying what is wrong with it."""

    def __init__(
        self,
        name: str,
        takes: str | None,
        help: str,
        *,
        default: Any = None,
        read: Callable[[str], Any] = str,
    ) -> None:
        self.name = name
        self.takes = takes
        self.help = help
        self.default = False if takes is None else default
        self.read = read

    @property
    def key(self) -> str:
        return self.name[2:].replace("-", "_")


def read(arguments: Sequence[str]) -> Options:
    """What the command line says. Exits, as argparse does, with help or with what is wrong."""
    values = _read_plain(arguments)
    if values is None:
        values = vars(_parser().parse_args(arguments))
    return Options(values)


def _read_plain(arguments: Sequence[str]) -> dict[str, Any] | None:
    """The values of a command line without mistakes; None if there is something to explain."""
    options = {option.name: option for _, _, group in GROUPS for option in group}
    values = {option.key: option.default for option in options.values()}
    words = iter(arguments)
    for word in words:
        name, equals, text = word.partition("=")
        option = options.get(name)
        if option is None or (equals and option.takes is None):
            return None
        if option.takes is None:
            values[option.key] = True
            continue
        if not equals:
            text = next(words, "-")
            if text.startswith("-"):
                return None
        try:
            values[option.key] = option.read(text)
        except ValueError:
            return None
    return None if values["adapter"] is None else values


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        prog="bridge",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def explained(read: Callable[[str], Any]) -> Callable[[str], Any]:
        def convert(text: str) -> Any:
            try:
                return read(text)
            except ValueError as error:
                raise argparse.ArgumentTypeError(str(error)) from None

        return convert

    for title, description, options in GROUPS:
        group = parser.add_argument_group(title, description) if title else parser
        for option in options:
            if option.takes is None:
                group.add_argument(option.name, action="store_true", help=option.help)
            else:
                group.add_argument(
                    option.name,
                    metavar=option.takes,
                    help=option.help,
                    default=option.default,
                    required=option is ADAPTER,
                    type=explained(option.read),
                )
    parser.add_argument("--version", action="version", version=f"bridge {__version__}")
    return parser


# -- what the texts mean ----------------------------------------------------------------------


def _number(least: int, most: int | None = None) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a whole number") from None
        if value < least or (most is not None and value > most):
            limit = f"below {least}" if value < least else f"above {most}"
            raise ValueError(f"{value} is {limit}")
        return value

    return number


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise ValueError(f"{text!r} is not a number of seconds, 0 or more")
    return value


def _one_of(*choices: str) -> Callable[[str], str]:
    def choice(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return choice


def _transports(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= {"stdio", "grpc"} or len(set(names)) < len(names):
        raise ValueError(f"{text!r} is not stdio, grpc, or stdio,grpc")
    return names


def _descriptors(text: str) -> tuple[int, int]:
    source, comma, sink = text.partition(",")
    if not (comma and source.isdigit() and sink.isdigit() and source != sink):
        raise ValueError(f"{text!r} is not two descriptors, like 3,4")
    return int(source), int(sink)


# -- the options --------------------------------------------------------------------------------

ADAPTER = Option("--adapter", "NAME", "what to serve: MODULE:CLASS, MODULE.CLASS or MODULE")
_SERVING = [
    ADAPTER,
    Option("--app-dir", "DIR", "where to import it from (default: the working directory)"),
    Option(
        "--max-workers",
        "N",
        "threads that run tools (default: min(32, cores + 4))",
        read=_number(1),
    ),
    Option(
        "--max-queue",
        "N",
        "calls that may wait for a worker; one more is refused at once (default: 1024)",
        default=1024,
        read=_number(0),
    ),
    Option("--no-inline", None, "run every call on a worker, also of tools that take microseconds"),
    Option(
        "--max-message-bytes",
        "N",
        "a longer message is refused (default: 67108864)",
        default=64 << 20,
        read=_number(1024),
    ),
    Option(
        "--grace",
        "SECONDS",
        "time for running calls when the process ends (default: 5)",
        default=5.0,
        read=_seconds,
    ),
    Option(
        "--fds",
        "IN,OUT",
        "descriptors of the protocol: 0,1, or 3,4 for Erlang's :nouse_stdio (default: 0,1)",
        default=(0, 1),
        read=_descriptors,
    ),
    Option(
        "--log-level",
        "LEVEL",
        "debug, info, warning or error (default: warning)",
        default="warning",
        read=_one_of("debug", "info", "warning", "error"),
    ),
    Option(
        "--log-format",
        "FORMAT",
        "of log lines on stderr, text or json (default: text)",
        default="text",
        read=_one_of("text", "json"),
    ),
    Option(
        "--transport",
        "NAMES",
        "stdio, grpc, or stdio,grpc for both at once (default: stdio)",
        default=("stdio",),
        read=_transports,
    ),
]
_GRPC = [
    Option(
        "--host",
        "HOST",
        "name, address or unix:PATH (default: 127.0.0.1)",
        default="127.0.0.1",
    ),
    Option(
        "--port",
        "N",
        "0 takes a free one, which is printed as GRPC_READY:PORT (default: 50051)",
        default=50051,
        read=_number(0, 65535),
    ),
    Option("--ready-file", "FILE", "write the port there once it serves"),
    Option("--tls-cert", "FILE", "certificate chain of the server, PEM"),
    Option("--tls-key", "FILE", "its private key, PEM"),
    Option("--tls-client-ca", "FILE", "admit only clients with a certificate of these"),
    Option("--insecure", None, "listen on a public address in clear text"),
    Option("--token-file", "FILE", 'calls must carry "authorization: Bearer TOKEN"'),
    Option("--reflection", None, "let clients ask for the service's definition"),
]
_THREADS = [
    Option("--thread-safety-check", None, "look for races while serving (slow)"),
    Option("--thread-safety-strict", None, "and raise in the call that has one"),
    Option("--thread-safety-report", "FILE", "and write what was found there at the end"),
]
#: Title, description and options of each group; the first has no title.
GROUPS: list[tuple[str | None, str | None, list[Option]]] = [
    (None, None, _SERVING),
    ("gRPC", "Where --transport grpc listens. Files are read again when they change.", _GRPC),
    ("threads", None, _THREADS),
]

"""The words of a command line that serves: read into settings, or explained in one line.

``argparse`` takes as long to load as all the rest of the bridge, so it is not used where the process
starts to serve; ``help.py`` writes ``--help`` with it.
"""

from __future__ import annotations

from ..errors import UsageError
from ..options import Option
from ..process.settings import Settings, ThreadSafetySettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from ..options import Options

_SHOWN = 60


def all_options() -> list[Option]:
    """All rows of the table, in the order of help."""
    from ..telemetry import TelemetrySettings
    from ..transports.grpc.settings import GrpcSettings

    parts: list[type[Options]] = [Settings, GrpcSettings, TelemetrySettings, ThreadSafetySettings]
    return [option for part in parts for option in part.options.values()]


def read(words: Sequence[str]) -> Settings:
    """Read a command line without a command.

    Args:
        words: What follows the program's name, for example
            ``["--adapter", "my_tools:Tools", "--port=0"]``. Of an option that is there twice the
            last counts.

    Returns:
        The settings; what is not on the command line has its default.

    Raises:
        UsageError: If something is wrong with the command line. The message is one line that
            names the word, and what would be right.
    """
    # those of the network only where they are asked for
    table = _by_flag([*Settings.options.values(), *ThreadSafetySettings.options.values()])
    given: dict[type[Options], dict[str, Any]] = {}
    rest = iter(words)
    for word in rest:
        flag, equals, text = word.partition("=")
        option = table.get(flag)
        if option is None:
            table = _by_flag(all_options())
            option = table.get(flag)
            if option is None:
                raise UsageError(_explain_unknown(word, table))
        if option.is_switch:
            if equals:
                raise UsageError(f"{_show(word)}: {flag} takes no value")
            value = not option.default
        elif equals:
            value = _read_value(option, text, _show(word))
        else:
            text = _take_value(option, rest)
            value = _read_value(option, text, f"{flag} {_show(text)}")
        given.setdefault(option.owner, {})[option.name] = value
    values = given.get(Settings, {})
    adapter = Settings.options["adapter"]
    if adapter.name not in values:
        raise UsageError(
            f"{adapter.flag} is missing: it must be {adapter.kind.wants} (see python -m bridge --help)"
        )
    thread_safety = ThreadSafetySettings(**given.get(ThreadSafetySettings, {}))
    if thread_safety.wanted:
        values["thread_safety"] = thread_safety
    if "grpc" in values.get("transport", ()):
        from ..transports.grpc.settings import GrpcSettings

        values["grpc"] = GrpcSettings(**given.get(GrpcSettings, {}))
    if given.keys() - {Settings, ThreadSafetySettings}:
        from ..telemetry import TelemetrySettings

        telemetry = TelemetrySettings(**given.get(TelemetrySettings, {}))
        if telemetry.metrics_port is not None or telemetry.tracing:
            values["telemetry"] = telemetry
        elif TelemetrySettings in given:
            raise UsageError("--metrics-host says where --metrics-port listens, which is missing")
    return Settings(**values)


def _by_flag(options: Iterable[Option]) -> dict[str, Option]:
    return {option.flag: option for option in options}


def _take_value(option: Option, rest: Iterator[str]) -> str:
    """The next word. Raises ``UsageError`` if there is none, or if it is an option itself."""
    text = next(rest, None)
    if text is None or text.startswith("--"):
        place = "" if text is None else f" before {_show(text)}"
        raise UsageError(
            f"{option.flag}: its value is missing{place}; it must be {option.kind.wants}"
        )
    return text


def _read_value(option: Option, text: str, typed: str) -> Any:
    """The value that ``text`` means. Raises ``UsageError``, with the words as they were typed."""
    try:
        return option.kind.read(text)
    except ValueError:
        raise UsageError(f"{typed}: must be {option.kind.wants}") from None


def _explain_unknown(word: str, table: dict[str, Option]) -> str:
    flag = word.partition("=")[0]
    if not word.startswith("-"):
        return f"{_show(word)}: neither an option nor the value of one"
    hint = did_you_mean(flag, [*table, "--help", "--version"])
    return f"{_show(flag)}: there is no such option{hint or '; see python -m bridge --help'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest what somebody meant.

    Args:
        word: What was typed and does not exist.
        known: What does exist.

    Returns:
        What to put behind a message about ``word``; empty if nothing is near.
    """
    from difflib import get_close_matches

    nearest = get_close_matches(word, list(known), 1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _show(word: str) -> str:
    """A word as it was typed; with quotes where it would not be seen as one otherwise."""
    shown = word if len(word) <= _SHOWN else f"{word[: _SHOWN - 3]}..."
    return shown if shown and shown.isprintable() and " " not in shown else repr(shown)

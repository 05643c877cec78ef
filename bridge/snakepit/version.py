"""Which version of Snakepit has started this process, and what its Elixir side takes.

The numbers are those of the first release whose tags have what they stand for, in
https://github.com/nshkrdotcom/snakepit: ``priv/python`` for its worker, ``lib`` for Elixir.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Version = tuple[int, int, int]

#: A stream's chunks have their tool's own form, and the last one may have data.
CHUNKS = (0, 6, 4)
#: A named tuple within a result is no list any more: its worker has another encoder.
NAMED_TUPLES = (0, 6, 7)
#: A result may be bytes (``ExecuteToolResponse.binary_result``).
BYTES = (0, 6, 11)
#: An error is a JSON object, and ``ZeroCopyRef`` is an argument.
STRUCTURED = (0, 7, 4)

_READY_FILE = "SNAKEPIT_READY_FILE"
_INSTANCE = "--snakepit-instance-name"
_OLDEST, _NEWEST = (0, 6, 0), (0, 13, 0)
_VSN = re.compile(rb'\{\s*vsn\s*,\s*"(\d+)\.(\d+)\.(\d+)')


def find_version(
    script: str | None, arguments: Sequence[str], environ: Mapping[str, str]
) -> Version:
    """The version, as its application's file says, or as it starts its workers.

    Args:
        script: the path of its own script, ``APPLICATION/priv/python/grpc_server.py``; None: there
            is none.
        arguments: those of the command line.
        environ: the environment.
    """
    told = _told_by_application(script)
    if told is not None:
        return told
    if _READY_FILE not in environ:
        return _OLDEST  # or a later one without that file: what it takes, they take as well
    return _NEWEST if _INSTANCE in arguments else (0, 8, 1)


def _told_by_application(script: str | None) -> Version | None:
    if script is None:
        return None
    application = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(script))))
    try:
        with open(os.path.join(application, "ebin", "snakepit.app"), "rb") as file:
            found = _VSN.search(file.read())
    except OSError:
        return None
    if found is None:
        return None
    major, minor, patch = map(int, found.groups())
    return major, minor, patch

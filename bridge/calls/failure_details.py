"""What an exception carries beside its text: facts for the caller, by name.

=====================================  ============================================================
exception                              ``details``
=====================================  ============================================================
``OSError`` and its children           ``errno``, and ``filename`` if it has one
``CalledProcessError`` and             ``returncode`` or ``timeout``, ``cmd``, and of ``stdout`` and
``TimeoutExpired`` of ``subprocess``   ``stderr`` the end
errors of HTTP, of whatever client     ``status``: of the response, or their own
=====================================  ============================================================
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: So much of what a program wrote is told: its last lines say most.
MAX_OUTPUT = 8192
_MAX_TEXT = 1024


def read_details(failure: BaseException) -> dict[str, Any] | None:
    """The facts that an exception carries, which can all travel; None: there are none. Never raises."""
    try:
        return _read(failure) or None
    except BaseException:
        return None  # its attributes are code of its own


def _read(failure: BaseException) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if isinstance(failure, OSError) and type(failure.errno) is int:
        details["errno"] = failure.errno
        if isinstance(failure.filename, str | bytes):
            details["filename"] = _text(failure.filename, _MAX_TEXT)
    if isinstance(failure, getattr(sys.modules.get("subprocess"), "SubprocessError", ())):
        details.update(_read_process(failure))
    status = _read_status(failure)
    if status is not None:
        details["status"] = status
    return details


def _read_process(failure: Any) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for name in ("returncode", "timeout"):
        value = getattr(failure, name, None)
        if type(value) in (int, float):
            details[name] = value
    cmd = getattr(failure, "cmd", None)
    if isinstance(cmd, str | bytes | os.PathLike):
        details["cmd"] = _text(os.fspath(cmd), _MAX_TEXT)
    elif type(cmd) is list or type(cmd) is tuple:
        details["cmd"] = [_text(os.fspath(word), _MAX_TEXT) for word in cmd[:64]]
    for name in ("stdout", "stderr"):
        value = getattr(failure, name, None)
        if isinstance(value, str | bytes):
            details[name] = _text(value, MAX_OUTPUT)
    return details


def _read_status(failure: Any) -> int | None:
    """The status of HTTP: urllib has it as ``code``, aiohttp as ``status``, requests and httpx, and
    clients that are made of them, as that of the ``response``."""
    response = getattr(failure, "response", None)
    for holder, name in (
        (response, "status_code"), (failure, "status_code"), (response, "status"),
        (failure, "status"), (failure if isinstance(failure, OSError) else None, "code"),
    ):  # fmt: skip
        value = getattr(holder, name, None)
        if type(value) is int and 100 <= value <= 599:
            return value
    return None


def _text(value: str | bytes, most: int) -> str:
    # by the methods of the class itself: those of a derived one may never end
    if isinstance(value, bytes):
        end = bytes.__getitem__(value, slice(-most, None))
        return end.decode(errors="backslashreplace")[-most:]
    text = str.__getitem__(value, slice(-most, None))
    return text.encode(errors="backslashreplace").decode()[-most:]  # names of files need be no text

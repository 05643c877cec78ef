"""Which calls Snakepit wants to have on the main thread.

From 0.9.1 on its worker runs tools on further threads, but those on the main one that the caller
or the environment calls sensitive to the thread (``priv/python/grpc_server.py``,
``_thread_sensitive_from_metadata`` and ``_thread_sensitive_from_env``).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_TRUE = frozenset(["1", "true", "t", "yes", "y", "on"])
_MODULE = ("module_path", "python_module", "library")
_FUNCTION = ("function", "method")


def is_sensitive(
    metadata: Mapping[str, str], arguments: Mapping[str, Any], environ: Mapping[str, str]
) -> bool:
    """Whether a call shall run on the main thread.

    Args:
        metadata: of the request: ``thread_sensitive`` says so.
        arguments: those of the tool, which may name a module and a function.
        environ: ``SNAKEPIT_THREAD_SENSITIVE`` has a list of those, ``torch,numpy.linalg.svd``.
    """
    if metadata.get("thread_sensitive", "").strip().lower() in _TRUE:
        return True
    listed = environ.get("SNAKEPIT_THREAD_SENSITIVE")
    if not listed:
        return False
    entries = {entry.strip() for entry in listed.split(",")}
    module = next((arguments[name] for name in _MODULE if arguments.get(name)), None)
    function = next((arguments[name] for name in _FUNCTION if arguments.get(name)), None)
    if not isinstance(module, str):
        return False
    return module in entries or f"{module}.{function}" in entries

"""What people know locks as: the attributes, items and globals that they are found at."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from .builtins import is_a, namespace
from .locks import key_of
from .shared_objects import SharedObjects, parts


class LockNames:
    """Looks for locks where threads would. For any thread, but slow: to be asked for findings only.

    Args:
        shared: which objects threads share.
    """

    def __init__(self, shared: SharedObjects) -> None:
        self._shared = shared

    def name_of(self, key: Hashable) -> str:
        """The name of the lock that the detector knows by ``key``; the key if nobody finds it."""
        for name, value in self._locks():
            if value == key:
                return name
        return str(key)

    def _locks(self) -> Iterator[tuple[str, Hashable]]:
        for owner, value in self._shared.all():
            places = namespace(value).items() if not is_a(value, dict) else ()
            found: list[tuple[Any, str]] = [
                (each, f"{owner.name}.{name}") for name, each in list(places)
            ]
            for each, name in found or parts(value, owner.name):
                yield name, key_of(each)
                yield name, key_of(namespace(each).get("_lock"))  # of a condition
                yield name, namespace(each).get("_bridge_key")  # of a semaphore

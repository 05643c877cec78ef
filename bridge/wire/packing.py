"""What turns values into MessagePack: msgpack's ``Packer``, told what to do with what it does not know."""

from __future__ import annotations

from msgpack import ExtType, Packer

from ..typing_names import Any
from .buffers import LARGE_BYTES, count_large
from .keys import has_same_keys
from .values import to_wire, wire_key

#: What becomes a list without a dict in it.
_OF_KEYS = frozenset([set, frozenset, range])
#: What may hold dicts or large data.
_HOLDING = frozenset([dict, list, ExtType])


class TooLarge(ValueError):
    """What was converted for one message is too large for it."""


class Conversions:
    """What a packer has converted for the message that it is at.

    ``keys``: whether something that may be a key; then somebody must look at the keys in the value.
    ``large_bytes``: how much large data.

    Args:
        max_bytes: if there is more large data, packing ends with ``TooLarge``.
    """

    __slots__ = ("keys", "large_bytes", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.keys = False
        self.large_bytes = 0


def look_into(value: Any, plain: Any, kind: type) -> int:
    """How many bytes of large data are in what a value has become. Raises if keys become the same."""
    if kind is ExtType:
        return len(plain.data)
    if type(value) in _OF_KEYS:
        return 0
    if has_same_keys(plain, wire_key):
        raise ValueError("two keys of a map would be the same")
    return count_large(plain)


def new_packer(conversions: Conversions) -> Packer:
    """A packer that notes what it converts.

    It looks itself at the keys in dicts that are made on the way, and raises ``ValueError`` for those
    that become the same.
    """

    def convert(value: Any) -> Any:
        plain = to_wire(value)
        kind = type(plain)
        if kind in _HOLDING:
            size = look_into(value, plain, kind)
            if size >= LARGE_BYTES:
                # where it stands, nobody has seen it before
                conversions.large_bytes += size
                if conversions.large_bytes > conversions.max_bytes:
                    raise TooLarge
        if type(value).__hash__ is not None:
            conversions.keys = True
        return plain

    return Packer(autoreset=True, use_bin_type=True, default=convert)

"""What turns values into MessagePack: msgpack's ``Packer``, told what to do with what it does not know."""

from __future__ import annotations

from msgpack import Packer

from ..typing_names import Any
from .keys import has_same_keys
from .values import to_wire, wire_key

#: What becomes a list without a dict in it.
_OF_KEYS = frozenset([set, frozenset, range])


def new_packer(converted: list[bool]) -> Packer:
    """A packer that notes in ``converted[0]`` that it has converted something that may be a key.

    Then somebody must look at the keys in the value. Those of dicts that are made on the way, the
    packer looks at itself, and raises ``ValueError``.
    """

    def convert(value: Any) -> Any:
        plain = to_wire(value)
        kind = type(plain)
        if (kind is dict or (kind is list and type(value) not in _OF_KEYS)) and has_same_keys(
            plain, wire_key
        ):
            raise ValueError("two keys of a map would be the same")
        if type(value).__hash__ is not None:
            converted[0] = True
        return plain

    return Packer(autoreset=True, use_bin_type=True, default=convert)

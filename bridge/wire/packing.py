"""What turns values into MessagePack: msgpack's ``Packer``, told what to do with what it does not know.

While it converts a value, code of the value's class runs, and other threads do. That code may log, or
report progress, or call Elixir, all of which is encoded on the same thread: the packer is in the middle
of a message then, and another one takes its place (``_Spare``). And a list may have changed when the
packer comes back to it, after its length was written: see ``WholeCheck``.
"""

from __future__ import annotations

import sys

from msgpack import ExtType, Packer

from ..typing_names import Any
from .buffers import LARGE_BYTES, WholeCheck, count_large
from .keys import has_same_keys
from .values import Forms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from weakref import ref

    from .collected import Collected
    from .keys import Form
else:
    from _weakref import ref  # "weakref" brings much that no start needs

#: What becomes a list without a dict in it.
_OF_KEYS = frozenset([set, frozenset, range])
#: Without a GIL another thread may change a list at any time.
_CHANGES_AT_ANY_TIME = not getattr(sys, "_is_gil_enabled", lambda: True)()
#: What may hold dicts or large data.
_HOLDING = frozenset([dict, list, ExtType])


class TooLarge(ValueError):
    """What was converted for one message is too large for it."""


class Conversions:
    """What a packer has converted for the message that it is at.

    ``any``: whether something; then somebody must look whether the message is whole.
    ``keys``: whether something that may be a key; then somebody must look at the keys in the value.
    ``large_bytes``: how much large data. ``named``: whether objects may travel with the names of their
    classes. ``collected``: what goes into shared memory, None: nothing does, as always where ``lends``
    is False.

    Args:
        max_bytes: if there is more large data, packing ends with ``TooLarge``.
        forms: what values become.
    """

    collected: Collected | None

    __slots__ = (
        *("any", "keys", "large_bytes", "named", "max_bytes", "forms"),
        *("lends", "collected"),
    )

    def __init__(self, max_bytes: int, forms: Forms) -> None:
        self.max_bytes = max_bytes
        self.forms = forms
        self.large_bytes = 0
        self.named = True
        self.lends = True
        self.begin()

    def begin(self) -> None:
        """Begin with another message, but for its large data."""
        self.any = _CHANGES_AT_ANY_TIME
        self.keys = False
        self.collected = None

    def collect(self) -> Collected | None:
        """What takes large data of this message into shared memory; None: nothing does."""
        lender = self.forms.lender
        if self.collected is None and lender is not None and self.lends:
            self.collected = lender.collect()
        return self.collected


class Packing:
    """A packer and what it has converted, for one thread: the part of an encoder that is replaced.

    Args:
        max_bytes: as for ``Conversions``.
        forms: what values become.
    """

    __slots__ = ("_packer", "_conversions", "_max_bytes", "_forms", "_check", "__weakref__")

    def __init__(self, max_bytes: int, forms: Forms) -> None:
        self._max_bytes = max_bytes
        self._forms = forms
        self._check = WholeCheck()
        self.renew()

    def renew(self) -> None:
        """Take a new packer: half of a value is in the old one, or it keeps too much memory."""
        self._conversions = Conversions(self._max_bytes, self._forms)
        self._packer: Any = _new_packer(self)

    def lend(self) -> tuple[Any, Conversions]:
        """Put another packer in the place of this one, until ``take_back`` is given what this returns."""
        own = self._packer, self._conversions
        self._packer = _Spare(self)
        return own

    def whole(self, encode: Callable[..., Any], *args: Any) -> Any:
        """Encode with everything in the message itself."""
        self._conversions.begin()
        self._conversions.large_bytes = 0
        self._conversions.lends = False
        try:
            return encode(*args)
        finally:
            self._conversions.lends = True

    def take_back(self, own: tuple[Any, Conversions]) -> None:
        """Go on with what was lent."""
        self._packer, self._conversions = own


class _Spare:
    """Stands for a packer that is made when it is asked for: what is converted seldom sends anything."""

    __slots__ = ("_packing",)

    def __init__(self, packing: Packing) -> None:
        self._packing = packing

    def __getattr__(self, name: str) -> Any:
        packing = self._packing
        if packing._packer is self:
            packing.renew()
        return getattr(packing._packer, name)


def look_into(value: Any, plain: Any, kind: type, form: Form) -> int:
    """How many bytes of large data are in what a value has become. Raises if keys become the same."""
    if kind is ExtType:
        return len(plain.data)
    if type(value) in _OF_KEYS:
        return 0
    if has_same_keys(plain, form):
        raise ValueError("two keys of a map would be the same")
    return count_large(plain)


def _new_packer(packing: Packing) -> Packer:
    """A packer that notes what it converts.

    It looks itself at the keys in dicts that are made on the way, and raises ``ValueError`` for those
    that become the same.
    """
    conversions = packing._conversions
    owner = ref(packing)  # which has the packer

    forms = conversions.forms
    to_wire, to_plain, wire_key = forms.to_wire, forms.plain, forms.wire_key

    def convert(value: Any) -> Any:
        packing: Any = owner()
        own = packing.lend()
        try:
            plain = to_wire(value) if conversions.named else to_plain(value)
            kind = type(plain)
            size = look_into(value, plain, kind, wire_key) if kind in _HOLDING else 0
        except BaseException:
            conversions.large_bytes = 0  # there will be no message
            raise
        finally:
            packing.take_back(own)
        conversions.any = True
        if size >= LARGE_BYTES:
            # where it stands, nobody has seen it before
            conversions.large_bytes += size
            if conversions.large_bytes > conversions.max_bytes:
                raise TooLarge
            collected = conversions.collect()
            if collected is not None:
                plain = collected.converted(plain)
        if type(value).__hash__ is not None:
            conversions.keys = True
        return plain

    # "strict": what is of a derived class, and tuples, comes by here as well
    strict = conversions.forms.exact
    return Packer(autoreset=True, use_bin_type=True, strict_types=strict, default=convert)

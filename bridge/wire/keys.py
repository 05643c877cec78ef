"""Keys of a dict that differ in Python and are the same where they arrive: an entry would be lost.

An enum and its value, a date and its text, in JSON also 1 and "1". What is the same depends on the
form: functions here are given one that says for a key what stands there in its place.

Keys that MessagePack has itself do not become the same, so nothing is looked at unless something was
converted that may be a key. What a reader takes for the same all the same it must refuse itself, as
Elixir does with the text "a" and the bytes "a", and every reader with equal texts of a class derived from
``str`` that says they differ.
"""

from __future__ import annotations

from itertools import chain

from msgpack import ExtType, Timestamp

from ..errors import shorten
from ..typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    #: What stands for a key where it arrives. Raises for what cannot be one.
    Form = Callable[[Any], Hashable]

#: What holds no dict.
_LEAVES = frozenset(
    [type(None), bool, int, float, str, bytes, bytearray, memoryview, ExtType, Timestamp]
)
_TEXT = frozenset([str])


def has_same_keys(value: Any, form: Form) -> bool:
    """Whether a dict in the value has two keys of one form.

    Only dicts, lists and tuples are looked into, not what must be converted first.

    Raises:
        Exception: What ``form`` raises.
    """
    level: list[Any] = [value]
    seen: set[int] = set()  # a value may contain itself
    while level:
        dicts = [item for item in level if isinstance(item, dict)]
        # nearly always all keys are text, which takes C a moment for all of them at once
        if not _TEXT.issuperset(map(type, chain.from_iterable(map(dict.__iter__, dicts)))):
            for item in dicts:
                if same_keys(item, form) is not None:
                    return True
        parts: Iterable[Any] = (
            # a class of its own may never end
            dict.values(item)
            if isinstance(item, dict)
            else list.__iter__(item)
            if isinstance(item, list)
            else tuple.__iter__(item)
            for item in level
            if isinstance(item, dict | list | tuple)
        )
        items = list(chain.from_iterable(parts))
        kinds = {*map(type, items)} - _LEAVES
        kinds = {kind for kind in kinds if issubclass(kind, dict | list | tuple)}
        level = [item for item in items if type(item) in kinds and id(item) not in seen]
        seen.update(map(id, level))
    return False


def same_keys(value: dict[Any, Any], form: Form) -> tuple[Any, Any] | None:
    """Two keys of a dict that have one form; None if there are none. Raises what ``form`` raises."""
    if dict.__len__(value) < 2 or _TEXT.issuperset(map(type, dict.__iter__(value))):
        return None
    found: dict[Hashable, Any] = {}
    for key in dict.__iter__(value):
        if found.setdefault(form(key), key) is not key:
            return found[form(key)], key
    return None


def explain_same_keys(value: dict[Any, Any], form: Form) -> str | None:
    """Why the dict cannot be sent, in words; None: for no reason that is known here."""
    try:
        found = same_keys(value, form)
    except Exception:  # code of the keys' classes: what is wrong with them is said elsewhere
        return None
    if found is None:
        return None
    first, second = found
    return f"its keys {shorten(first)} and {shorten(second)} would be the same there"

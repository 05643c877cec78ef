"""What Snakepit makes of values that JSON cannot say: nil, their own conversion, or a marker.

From 0.11.0 on Snakepit's worker answers a call whatever is in its result
(``priv/python/snakepit_bridge/serialization.py``); here that holds for every version. What it makes
of each value was recorded, and ``tests/integration/test_snakepit_contract.py`` compares. Values
that have a natural plain form here, a set or a Decimal, keep it: there they are markers.

==================================================  ===============================================
within a result                                     becomes
==================================================  ===============================================
NaN, infinity                                       nil
named tuple                                         a map; before 0.6.7 a list
dataclass                                           a map of its fields, but those that begin with
                                                    ``_``
what ``encoders`` of the adapter are for            what they make of it
``ZeroCopyRef``                                     its map
``model_dump()``, ``to_dict()``, ``_asdict()``      what the first of them returns that raises
                                                    nothing
``tolist()``                                        the list, up to so many elements
``isoformat()``                                     its text
what has a form on the wire, but no bytes           that form
anything else                                       a marker: ``__ffi_unserializable__``,
                                                    ``__type__`` and perhaps ``__repr__``
==================================================  ===============================================

The whole result is no part of another value: NaN is the text "NaN" there, and instead of a marker
there is the text of the object.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from math import isfinite
from typing import Any

from ..errors import EncodeError
from ..wire.json_text import encode_json, to_json
from ..wire.times import is_missing, is_time

_MARK, _TYPE, _REPR = "__ffi_unserializable__", "__type__", "__repr__"
_SHOWN_WHOLE = frozenset([str, int, bool, type(None)])
_CONVERSIONS = ("model_dump", "to_dict", "_asdict")
_DEFAULT_LENGTH, _MAX_LENGTH = 500, 2000
_DEFAULT_ELEMENTS = 1_000_000
#: Types of which the event that there is a marker for them is told.
_MAX_TYPES = 10_000
_SECRETS = [
    (re.compile(r"(Authorization:\s*Bearer\s+)[^\s'\"\\]+", re.I), r"\1<REDACTED>"),
    (re.compile(r"(Bearer\s+)[A-Za-z0-9\-._~+/]+=*", re.I), r"\1<REDACTED>"),
    (re.compile(r"\bsk-[A-Za-z0-9]{10,}\b"), "sk-<REDACTED>"),
    (
        re.compile(
            r"""("?(?:api[_-]?key|token|secret|password)"?\s*[:=]\s*["'])[^"']+(["'])""", re.I
        ),
        r"\1<REDACTED>\2",
    ),
]


class Graceful:
    """Makes JSON of any value. Any thread may use it.

    Args:
        environ: has the limits, as Snakepit's worker reads them: ``SNAKEPIT_UNSERIALIZABLE_DETAIL``,
            ``SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN``, ``SNAKEPIT_TOLIST_MAX_ELEMENTS``. What cannot be
            read counts as not there.
        first_seen: called with the name of a type when it is a marker for the first time.
        named_tuples: whether a named tuple is a map; or else a list.
        own: what the ``encoders`` of the adapter make of a value, itself if nothing; default: None,
            there are none.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        first_seen: Callable[[str], object],
        *,
        named_tuples: bool = True,
        own: Callable[[Any], Any] | None = None,
    ) -> None:
        self._detail = environ.get("SNAKEPIT_UNSERIALIZABLE_DETAIL", "none").strip().lower()
        length = _number(environ, "SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN", _DEFAULT_LENGTH)
        self._length = min(length, _MAX_LENGTH)
        self._elements = _number(environ, "SNAKEPIT_TOLIST_MAX_ELEMENTS", _DEFAULT_ELEMENTS)
        self._first_seen = first_seen
        self._named_tuples = named_tuples
        self._own = own
        self._seen: set[str] = set()

    def encode(self, value: Any, name: str) -> bytes:
        """The JSON of an item of a stream, or of a part of a result.

        Raises:
            EncodeError: it contains itself, or text that is no Unicode.
        """
        return encode_json(self._whole(value, name), name)

    def encode_result(self, value: Any, name: str) -> bytes:
        """The JSON of a whole result. Raises as ``encode``."""
        if isinstance(value, float) and not isfinite(value):
            return b'"NaN"' if value != value else b'"Infinity"' if value > 0 else b'"-Infinity"'
        plain = self._whole(value, name)
        if type(plain) is _Marker:
            try:
                plain = str(value)
            except Exception:
                pass  # the marker says what it is
        return encode_json(plain, name)

    def plain(self, value: Any) -> Any:
        """``value`` of what JSON has, and nothing else."""
        kind = type(value)
        if kind in _SHOWN_WHOLE:
            return value
        if kind is float:
            return value if isfinite(value) else None
        if kind is list or kind is tuple:
            return [self.plain(item) for item in value]
        if self._own is not None:
            own = self._own(value)
            if type(own) is not kind:
                return self.plain(own)
            value = own
        if isinstance(value, dict):
            # keys that are no text become it in the encoder, as in any JSON
            plain = {self._key(key): self.plain(item) for key, item in value.items()}
            # of keys that become the same none is lost: the encoder refuses them as they are
            return plain if len(plain) == len(value) else dict(value)
        return self._plain_rich(value)

    def _whole(self, value: Any, name: str) -> Any:
        try:
            return self.plain(value)
        except RecursionError:
            raise EncodeError(
                f"{name} cannot be encoded: it is nested too deeply, or contains itself"
            ) from None

    def _key(self, key: Any) -> Any:
        if type(key) is str:
            return key
        if self._own is not None:
            key = self._own(key)
        return key.value if isinstance(key, Enum) else key

    def _plain_rich(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return self.plain(value.value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return self.plain(float(value))
        if isinstance(value, list | tuple) and not (self._named_tuples and _has(value, "_asdict")):
            return [self.plain(item) for item in value]
        if is_missing(value):
            return None
        if not isinstance(value, type):  # a class has the methods of its instances
            converted = self._convert(value)
            if converted is not _NOTHING:
                return self.plain(converted)
        return self._mark(value)

    def _convert(self, value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return {
                field.name: getattr(value, field.name)
                for field in dataclasses.fields(value)
                if not field.name.startswith("_")
            }
        if type(value).__name__ == "ZeroCopyRef" and _has(value, "to_payload"):
            return value.to_payload()
        for name in _CONVERSIONS:
            converted = _call(value, name)
            if converted is not _NOTHING:
                return converted
        if _has(value, "tolist"):
            return self._list(value)
        converted = _call(value, "isoformat")
        if converted is not _NOTHING or isinstance(value, bytes | bytearray | memoryview):
            return converted
        try:
            return to_json(value)
        except Exception:
            return _NOTHING

    def _list(self, value: Any) -> Any:
        if _is_larger(value, self._elements):
            return _NOTHING  # it is not even made
        try:
            # times have one meaning whatever their unit, which tolist() does not know
            listed = to_json(value) if is_time(value) else value.tolist()
        except Exception:  # MemoryError too
            return _NOTHING
        if isinstance(listed, list) and _count(listed, self._elements) > self._elements:
            return _NOTHING
        return listed

    def _mark(self, value: Any) -> _Marker:
        kind = f"{type(value).__module__}.{type(value).__name__}"
        marker = _Marker({_MARK: True, _TYPE: kind})
        detail = self._describe(value, kind)
        if detail is not None:
            marker[_REPR] = detail
        if kind not in self._seen and len(self._seen) < _MAX_TYPES:
            self._seen.add(kind)
            self._first_seen(kind)
        return marker

    def _describe(self, value: Any, kind: str) -> str | None:
        if self._detail == "type":
            return f"<unserializable {kind}>"
        if self._detail not in ("repr_truncated", "repr_redacted_truncated"):
            return None
        try:
            text = repr(value)
        except Exception:
            text = f"<repr failed for {kind}>"
        if self._detail == "repr_redacted_truncated":
            for pattern, instead in _SECRETS:
                text = pattern.sub(instead, text)
        return text[: self._length].encode(errors="backslashreplace").decode()


class _Marker(dict[str, Any]):
    """The map that stands for what has no form; not one that a tool has made."""


_NOTHING = object()


def _has(value: Any, name: str) -> bool:
    try:
        return hasattr(value, name)
    except Exception:
        return False  # whatever its own code raises


def _call(value: Any, method: str) -> Any:
    try:
        return getattr(value, method)()
    except Exception:
        return _NOTHING  # it has none, or it is broken: the next one may be better


def _is_larger(value: Any, elements: int) -> bool:
    """Whether a list of it is known to have more elements: of NumPy, SciPy's sparse, and pandas."""
    numpy = sys.modules.get("numpy")
    try:
        if numpy is not None and isinstance(value, numpy.ndarray):
            return int(value.size) > elements
        if hasattr(value, "nnz") and hasattr(value, "shape"):
            size = 1
            for length in value.shape:
                size *= int(length)
            return size > elements
        if hasattr(value, "size") and hasattr(value, "values"):
            return int(value.size) > elements
    except Exception:
        pass  # its own attributes are what raises
    return False


def _count(values: list[Any], most: int) -> int:
    """The elements of nested lists; once they are more than ``most``, any larger number."""
    count, lists = 0, [values]
    while lists and count <= most:
        for value in lists.pop():
            if isinstance(value, list):
                lists.append(value)
            else:
                count += 1
    return count


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    try:
        return max(0, int(environ[name].strip()))
    except (KeyError, ValueError):
        return default

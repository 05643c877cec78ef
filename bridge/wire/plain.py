"""The plain form of rich Python objects, by one step: ``docs/values.md`` has the table.

A type can only be met if somebody imported its module, so no module is imported here to look for it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Set, ValuesView
from datetime import date, datetime, time, timedelta

from msgpack import ExtType, Timestamp

from ..errors import class_name
from ..typing_names import Any
from .extensions import BIG_INTEGER
from .loaded import loaded_class
from .tables import is_of_tables, table_form
from .tensors import encode_tensor, encode_torch
from .times import check_year, is_missing, is_time, out_of_range, plain_time, span_seconds

#: A longer range fills the memory before anybody sees that it is too long for a message.
_MAX_RANGE = 10_000_000
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
#: The seconds of the years 1 to 9999 in UTC, which is what a timestamp is read in.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
#: Modules whose values are text, and the classes in them; None: all.
_TEXT: dict[str, frozenset[str] | None] = {
    "ipaddress": None,
    "zoneinfo": None,
    "pydantic": frozenset(
        [
            *(
                "AnyUrl",
                "_BaseUrl",
                "_BaseMultiHostUrl",
                "_SecretBase",
                "_SecretField",
                "SecretStr",
            ),
            *("SecretBytes", "Color", "NameEmail", "PaymentCardNumber"),
        ]
    ),
    "pydantic_core": frozenset(["Url", "MultiHostUrl"]),
    "pydantic_extra_types": None,
    "yarl": frozenset(["URL"]),
    "httpx": frozenset(["URL"]),
}
#: Classes whose objects are nothing but a row of bytes.
_BYTES = frozenset(["pyarrow.Buffer", "mmap.mmap", "_pickle.PickleBuffer", "pickle.PickleBuffer"])


def one_step(value: Any) -> Any:
    """The form of a value that ``msgpack`` does not know: one that is plainer.

    Raises:
        TypeError: There is none; with the way out.
    """
    kind = type(value)
    if isinstance(value, int):  # also of a subclass: an IntEnum is beyond 64 bits what it is below
        return encode_big_integer(int.__pos__(value))
    if isinstance(value, loaded_class("numpy", "ndarray")):
        return encode_tensor(value)
    if isinstance(value, loaded_class("numpy", "generic")):
        return plain_time(value) if is_time(value) else value.item()
    if isinstance(value, loaded_class("torch", "Tensor")):
        return encode_torch(value)
    if isinstance(value, loaded_class("enum", "Enum")):
        return value.value
    if isinstance(value, datetime):
        if is_missing(value):
            return None
        check_year(value)
        return value.isoformat() if value.tzinfo is None else _encode_timestamp(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return span_seconds(value)
    if isinstance(value, range):
        return _list_range(value)
    if isinstance(value, set | frozenset | deque):
        # not as a derived class says, which may never end
        base: Any = (
            set if isinstance(value, set) else deque if isinstance(value, deque) else frozenset
        )
        return list(base.__iter__(value))
    if isinstance(value, Set | ValuesView):
        return list(_counted(value))
    if isinstance(value, Mapping):
        return {key: value[key] for key in _counted(value)}
    if hasattr(kind, "__dataclass_fields__"):
        fields = sys.modules["dataclasses"].fields(value)
        return {field.name: getattr(value, field.name) for field in fields}
    if hasattr(kind, "__fspath__"):
        return value.__fspath__()
    if callable(getattr(kind, "model_dump", None)):
        return value.model_dump()
    for module, name in (("decimal", "Decimal"), ("uuid", "UUID")):
        if isinstance(value, loaded_class(module, name)):
            return str(value)
    if is_missing(value):
        return None
    return _of_a_library(value, kind)


def encode_big_integer(value: int) -> ExtType:
    """An integer beyond 64 bits as extension 1."""
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    sign = b"\1" if value < 0 else b"\0"
    return ExtType(BIG_INTEGER, sign + magnitude.to_bytes(size, "big"))


def _counted(value: Any) -> Iterator[Any]:
    """The items of a collection, which may not have more than it says: some never end."""
    count = len(value)
    for item in value:
        count -= 1
        if count < 0:
            raise TypeError(
                f"a {class_name(type(value))} has more items than its length, {len(value)}"
            )
        yield item


def _list_range(value: range) -> list[int]:
    # len() raises where the number has more than 63 bits
    if value and abs(value[-1] - value[0]) // abs(value.step) >= _MAX_RANGE:
        raise TypeError(
            f"no form on the wire for a range of more than {_MAX_RANGE} integers; send its start, "
            "stop and step, or numpy.arange() of them"
        )
    return list(value)


def _of_a_library(value: Any, kind: type) -> Any:
    """The form of what is rarer, and often of a package that may be absent."""
    if isinstance(value, loaded_class("fractions", "Fraction")):
        return _fraction_text(value)
    if isinstance(value, loaded_class("sqlite3", "Row")):
        return _row(value)
    if isinstance(value, Sequence):
        userstring = sys.modules["collections"].UserString
        return str(value) if isinstance(value, userstring) else list(_counted(value))
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    if hasattr(kind, "__struct_encode_fields__"):
        return _struct(value, kind)
    if hasattr(kind, "__fields__") and callable(getattr(kind, "dict", None)):
        return value.dict()  # a model of pydantic 1
    getvalue = getattr(value, "getvalue", None)
    if kind.__module__ in ("_io", "io") and callable(getvalue):
        return getvalue()  # BytesIO and StringIO, from the beginning
    for base in kind.__mro__:
        library = base.__module__.partition(".")[0]
        if library in _TEXT:
            names = _TEXT[library]
            if names is None or base.__name__ in names:
                return str(value)
        elif f"{library}.{base.__name__}" in _BYTES:
            return memoryview(value)
    if is_of_tables(kind):
        return table_form(value)
    from .refusals import no_form

    raise no_form(value)


def _fraction_text(value: Any) -> str:
    """As ``str`` has it, but of any size: that refuses more than 4300 digits."""
    numerator, denominator = value.numerator, value.denominator
    if max(abs(numerator), denominator).bit_length() < 10_000:
        return str(value)
    import decimal

    digits = decimal.Decimal(numerator), decimal.Decimal(denominator)
    return str(digits[0]) if denominator == 1 else f"{digits[0]}/{digits[1]}"


def _row(value: Any) -> dict[str, Any]:
    names = value.keys()
    row = dict(zip(names, value, strict=True))
    if len(row) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TypeError(
            f"a row of SQLite has two columns {twice!r}, of which a map keeps one; name them with AS"
        )
    return row


def _struct(value: Any, kind: Any) -> Any:
    """A ``Struct`` of msgspec as that would write it, its values as they are."""
    config = kind.__struct_config__
    names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
    pairs = [(name, getattr(value, field)) for name, field in names]
    tag = config.tag
    if config.array_like:
        return [*([] if tag is None else [tag]), *(item for _, item in pairs)]
    unset = loaded_class("msgspec", "UNSET")
    fields = {name: item for name, item in pairs if item is not unset}
    return fields if tag is None else {config.tag_field: tag, **fields}


def _encode_timestamp(value: datetime) -> Timestamp:
    # integer arithmetic: a float of seconds does not hold microseconds this century
    since = value - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if not _FIRST_S <= seconds <= _LAST_S:
        raise out_of_range(value)
    # a time of pandas counts those as well
    return Timestamp(seconds, since.microseconds * 1000 + getattr(since, "nanoseconds", 0))

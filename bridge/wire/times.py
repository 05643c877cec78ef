"""Times of NumPy and pandas: one meaning whatever the unit they are counted in.

A ``datetime64`` is what a naive ``datetime`` is, ISO 8601 text; a ``timedelta64`` what a ``timedelta``
is, seconds. A missing one, ``NaT`` or ``pandas.NA``, is nil.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from ..typing_names import Any

#: Units by their seconds, and those that are parts of one, by the power of ten.
_SECONDS = {"W": 604_800, "D": 86_400, "h": 3600, "m": 60, "s": 1}
_DIGITS = {"ms": 3, "us": 6, "ns": 9, "ps": 12, "fs": 15, "as": 18}
_EPOCH = datetime(1970, 1, 1)
_MISSING = frozenset(["NaTType", "NAType"])


def is_missing(value: Any) -> bool:
    """Whether a value is pandas' word for one that is not there."""
    kind = type(value)
    return kind.__name__ in _MISSING and kind.__module__.partition(".")[0] == "pandas"


def is_time(value: Any) -> bool:
    """Whether a value is a ``datetime64`` or a ``timedelta64`` of NumPy, or an array of these."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return kind == "M" or kind == "m"


def plain_time(value: Any) -> str | float | None:
    """The plain form of a ``datetime64`` or a ``timedelta64``.

    Raises:
        TypeError: It has none: a year that ISO 8601 does not count, a span of years or months, whose
            length is not known, or one without a unit.
    """
    numpy: Any = sys.modules["numpy"]
    if numpy.isnat(value):
        return None
    unit, step = numpy.datetime_data(value.dtype)
    count = int(value.astype("int64")) * step
    if value.dtype.kind == "m":
        return _seconds(count, unit)
    try:
        return _text(count, unit)
    except (OverflowError, ValueError):
        raise out_of_range(value) from None


def check_year(value: datetime) -> None:
    """Raise ``TypeError`` for a time of pandas that is beyond those of ``datetime``."""
    if not 1 <= value.year <= 9999:
        raise out_of_range(value)


def out_of_range(value: object) -> TypeError:
    """The error of a time that ISO 8601 and other languages do not count."""
    where = "" if getattr(value, "tzinfo", None) is None else " in UTC"
    return TypeError(
        f"a time on the wire is in the years 1 to 9999, which {value} is not{where}; "
        "str() makes text of it"
    )


def span_seconds(value: timedelta) -> float:
    """The seconds of a ``timedelta``; of pandas too, as those of NumPy are, which its own are not quite."""
    nanoseconds = getattr(value, "nanoseconds", None)
    if nanoseconds is None:
        return value.total_seconds()
    whole = (value.days * 86_400 + value.seconds) * 10**9 + value.microseconds * 1000
    seconds: float = (whole + nanoseconds) / 10**9
    return seconds


def _seconds(count: int, unit: str) -> float:
    if unit in _SECONDS:
        return float(count * _SECONDS[unit])
    if unit in _DIGITS:
        seconds: float = count / 10 ** _DIGITS[unit]  # rounded once, as integers are divided
        return seconds
    what = "without a unit" if unit == "generic" else "of years or months"
    raise TypeError(
        f"a time span {what} has no length in seconds; astype('timedelta64[s]') gives it one"
    )


def _text(count: int, unit: str) -> str:
    if unit == "Y":
        return datetime(1970 + count, 1, 1).isoformat()
    if unit == "M":
        years, month = divmod(count, 12)
        return datetime(1970 + years, month + 1, 1).isoformat()
    if unit in _SECONDS:
        return (_EPOCH + timedelta(seconds=count * _SECONDS[unit])).isoformat()
    digits = _DIGITS[unit]
    seconds, fraction = divmod(count, 10**digits)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    if not fraction:
        return text
    shown = f"{fraction:0{digits}d}".rstrip("0")
    # six digits, as a datetime has them, or so many more
    return f"{text}.{shown.ljust(max(6, -(-len(shown) // 3) * 3), '0')}"

"""Times of NumPy and pandas: one meaning whatever their unit, in every form that values have."""

import json
import warnings
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import EncodeError
from bridge.wire import Encoder, decode_value
from bridge.wire.json_text import encode_json
from bridge.wire.json_values import to_plain

UNITS = ["W", "D", "h", "m", "s", "ms", "us", "ns"]

NaTType = type("NaTType", (datetime,), {"__module__": "pandas._libs.tslibs.nattype"})
NAType = type("NAType", (), {"__module__": "pandas._libs.missing"})
NAT = NaTType(1, 1, 1)
with warnings.catch_warnings():  # NumPy 2.5 says that it will refuse a unit that is not named
    warnings.simplefilter("ignore", DeprecationWarning)
    GENERIC = (np.timedelta64("NaT"), np.datetime64("NaT"), np.timedelta64(5))


def forms(value):
    """What it becomes over the pipe, as JSON over gRPC, and for Snakepit."""
    return [
        decode_value(Encoder().value(value, "value")),
        to_plain(value, "value"),
        json.loads(encode_json(value, "value")),
    ]


@pytest.mark.parametrize("unit", UNITS)
def test_a_span_is_its_seconds_whatever_the_unit(unit):
    week = np.timedelta64(1, "W").astype(f"timedelta64[{unit}]")
    assert forms(week) == [604_800.0] * 3
    assert all(type(form) is float for form in forms(week))


@pytest.mark.parametrize("unit", ["Y", "M", *UNITS])
def test_a_time_is_iso_text_whatever_the_unit(unit):
    moment = np.datetime64("1970-01-01").astype(f"datetime64[{unit}]")
    assert forms(moment) == ["1970-01-01T00:00:00"] * 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.datetime64("2024-02-29T12:34:56.5"), "2024-02-29T12:34:56.500000"),
        (np.datetime64("2024-02-29T12:34:56.000001"), "2024-02-29T12:34:56.000001"),
        (np.datetime64("2024-02-29T12:34:56.000000001"), "2024-02-29T12:34:56.000000001"),
        (np.datetime64("2024-02-29T12:34:56.123456000", "ns"), "2024-02-29T12:34:56.123456"),
        (np.datetime64("1969-12-31T23:59:59.999", "ms"), "1969-12-31T23:59:59.999000"),
        (np.datetime64(1, "as"), "1970-01-01T00:00:00.000000000000000001"),
        (np.datetime64(3, "25s"), "1970-01-01T00:01:15"),
        (np.datetime64(-1, "Y"), "1969-01-01T00:00:00"),
        (np.datetime64("2024-03", "M"), "2024-03-01T00:00:00"),
        (np.datetime64("0001-01-01"), "0001-01-01T00:00:00"),
        (np.datetime64("9999-12-31T23:59:59"), "9999-12-31T23:59:59"),
        (np.timedelta64(-1500, "ms"), -1.5),
        (np.timedelta64(3, "100ns"), 3e-7),
        (np.timedelta64(1500, "fs"), 1.5e-12),
        (GENERIC[0], None),
        (np.timedelta64("NaT", "ns"), None),
        (GENERIC[1], None),
        (np.datetime64("NaT", "D"), None),
        (NAT, None),
        (NAType(), None),
    ],
)
def test_what_a_time_becomes(value, expected):
    assert forms(value) == [expected] * 3
    assert forms({"rows": [{"paid": (value,)}]}) == [{"rows": [{"paid": [expected]}]}] * 3


def test_a_missing_time_is_nil_as_a_key_too():
    assert decode_value(Encoder().value({NAT: 1}, "value")) == {None: 1}
    assert decode_value(Encoder().value({GENERIC[1]: 1}, "value")) == {None: 1}
    assert to_plain({NAT: 1}, "value") == {"null": 1}
    two = {NAT: 1, GENERIC[1]: 2}
    with pytest.raises(EncodeError, match="value cannot be encoded"):
        Encoder().value(two, "value")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.datetime64("10000-01-01"), "in the years 1 to 9999, which 10000-01-01 is not"),
        (np.datetime64("0000-12-31"), "in the years 1 to 9999"),
        (np.datetime64(-(2**62), "Y"), "in the years 1 to 9999"),
        (np.datetime64(2**62, "s"), "in the years 1 to 9999"),
        (np.datetime64(2**62, "M"), "in the years 1 to 9999"),
        (np.timedelta64(1, "Y"), r"of years or months has no length in seconds; astype\("),
        (np.timedelta64(5, "M"), "of years or months"),
        (GENERIC[2], "without a unit"),
        (np.array(["2024-01-01"], "datetime64[ns]"), r"datetime64\[ns\]; list\(\) makes a list"),
    ],
)
def test_what_has_no_time_on_the_wire_is_refused_with_the_path_and_a_way_out(value, words):
    message = rf"value\.x\[1\] cannot be encoded: .*{words}"
    for encode in (Encoder().value, to_plain):
        with pytest.raises(EncodeError, match=message):
            encode({"x": [0, value]}, "value")
    if getattr(value, "ndim", 0) == 0:
        with pytest.raises(EncodeError, match=message):
            encode_json({"x": [0, value]}, "value")


def test_arrays_of_times_are_lists_where_there_are_no_tensors():
    array = np.array([["2024-01-01", "NaT"]], "datetime64[ns]")
    assert json.loads(encode_json(array, "value")) == [["2024-01-01T00:00:00", None]]
    assert forms(list(array[0])) == [["2024-01-01T00:00:00", None]] * 3


def test_nanoseconds_of_an_aware_time_are_kept():
    from msgpack import Timestamp, unpackb

    class Difference(timedelta):
        nanoseconds = 7

    class Stamp(datetime):
        def __sub__(self, other):
            return Difference(seconds=1, microseconds=2)

    moment = Stamp.fromisoformat("1970-01-01T00:00:01.000002+00:00")
    assert unpackb(Encoder().value(moment, "value")) == Timestamp(1, 2007)


@given(st.datetimes(), st.sampled_from(["us", "ns"]))
def test_a_time_is_what_a_naive_datetime_is(moment, unit):
    expected = moment.isoformat()
    assert forms(np.datetime64(moment)) == [expected] * 3
    if 1700 < moment.year < 2200:
        assert forms(np.datetime64(moment).astype(f"datetime64[{unit}]")) == [expected] * 3


@given(st.timedeltas(min_value=timedelta(days=-100_000), max_value=timedelta(days=100_000)))
def test_a_span_is_what_a_timedelta_is(span):
    assert forms(np.timedelta64(span)) == [span.total_seconds()] * 3


@given(
    st.datetimes(timezones=st.timezones() | st.none())
    | st.sampled_from([datetime.min, datetime.max]).flatmap(
        lambda time: st.integers(-23, 23).map(
            lambda hours: time.replace(tzinfo=timezone(timedelta(hours=hours)))
        )
    )
)
def test_a_time_is_what_it_was_or_refused_with_its_place(time: datetime) -> None:
    """At the ends of the calendar UTC may be in a year that no reader counts."""
    try:
        data = Encoder().result(1, {"at": [time]})
    except EncodeError as error:
        expected = str(error)
        assert expected.startswith(
            "result.at[0] cannot be encoded: a time on the wire is in the years"
        )
        with pytest.raises(EncodeError) as caught:
            to_plain({"at": [time]}, "result")
        assert str(caught.value) == expected
        with pytest.raises(OverflowError):
            time.astimezone(UTC)
        return
    (arrived,) = decode_value(bytes(data))[3]["at"]
    expected = time.astimezone(UTC) if time.tzinfo else time
    assert arrived == (expected if time.tzinfo else time.isoformat())
    (text,) = to_plain({"at": [time]}, "result")["at"]
    assert datetime.fromisoformat(text) == expected


@pytest.mark.parametrize("count", [2**40, -(2**40)])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_of_pandas_beyond_the_calendar_are_refused(count: int, zone: str | None) -> None:
    pandas = pytest.importorskip("pandas")
    time = pandas.Timestamp(np.datetime64(count, "s"))
    for value, path in (
        (time.tz_localize(zone) if zone else time, "result.x"),
        (pandas.Series(np.array([1, count], "M8[s]")), "result.x[1]"),
    ):
        for encode in (Encoder().result, lambda _, value: to_plain(value, "result")):
            with pytest.raises(EncodeError) as caught:
                encode(1, {"x": value})
            assert f"{path} cannot be encoded: a time on the wire" in str(caught.value)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("count", [-1, 0, 1, 10**9 + 1])
def test_a_span_means_the_same_in_numpy_and_pandas(unit: str, count: int) -> None:
    pandas = pytest.importorskip("pandas")
    span = np.timedelta64(count, unit)
    values = [span, pandas.Timedelta(span), pandas.Series([span])[0]]
    if unit != "ns":
        values.append(span.astype(timedelta))
    first, *others = decode_value(bytes(Encoder().result(1, values)))[3]
    assert all(abs(other - first) <= 1e-15 * abs(first) for other in others)

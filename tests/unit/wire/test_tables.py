"""tables.py: frames and tables to extension 3 and back, and streams that somebody has tampered with.

What needs a package that is not here is skipped: ``scripts/test-values`` installs all of them.
"""

from __future__ import annotations

import importlib.util
import io
import random
import sys
from typing import Any

import pytest

from bridge.errors import EncodeError, RemoteProtocolError
from bridge.wire import tables
from bridge.wire.codec import Encoder, decode_message, decode_value
from bridge.wire.json_text import encode_json
from bridge.wire.json_values import to_plain
from bridge.wire.values import Forms

COLUMNS = {"a": [1, None, 3], "b": ["x", "ä", None], "c": [1.5, 2.5, None]}


def passed(value: Any) -> Any:
    return decode_value(Encoder().value(value))


def stream(table: Any, **options: Any) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(
        sink, table.schema, options=pyarrow.ipc.IpcWriteOptions(**options)
    ) as writer:
        writer.write_table(table)
    return sink.getvalue()


def test_tables_of_arrow_come_back() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(COLUMNS)
    assert passed(table).equals(table)
    assert passed({"t": [table.slice(1, 1)]})["t"][0].equals(table.slice(1, 1))
    (batch,) = table.to_batches()
    assert passed(batch).equals(table)
    empty = table.slice(0, 0)
    assert passed(empty).equals(empty)
    assert to_plain(table, "x") == table.to_pylist()
    assert encode_json(table, "x") == encode_json(table.to_pylist(), "x")


def test_frames_of_pandas_come_back_with_their_index() -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS, index=["u", "v", "w"])
    arrived = passed(frame)
    assert arrived.to_pydict() == COLUMNS | {"__index_level_0__": ["u", "v", "w"]}
    pandas.testing.assert_frame_equal(arrived.to_pandas(), frame)
    times = pandas.DataFrame({"t": pandas.to_datetime(["2026-01-02", None], utc=True)})
    pandas.testing.assert_frame_equal(passed(times).to_pandas(), times)
    for column in (pandas.Series([1, None], dtype="Int64"), pandas.array([1, None], "Int64")):
        assert passed(column) == [1, None]
    assert str(passed(pandas.Series([1.5, None]))) == "[1.5, nan]"
    assert passed(pandas.Series(pandas.to_datetime(["2026-01-02", None]))) == [
        "2026-01-02T00:00:00",
        None,
    ]


def test_frames_that_arrow_cannot_say_are_refused_with_the_column() -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    mixed = pandas.DataFrame({"fine": [1, 2], "mixed": [1, "x"]})
    with pytest.raises(EncodeError, match=r"^value\.a .* column mixed .*astype\(str\)"):
        passed({"a": mixed})
    twice = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(EncodeError, match="Duplicate column names"):
        passed(twice)


def test_frames_of_polars_need_no_pyarrow_to_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(COLUMNS)
    if importlib.util.find_spec("pyarrow") is not None:
        assert passed(frame).to_pydict() == COLUMNS

    def absent() -> Any:
        raise TypeError

    monkeypatch.setattr(tables, "_pyarrow", absent)
    wire = Forms().to_wire(frame)
    assert wire.code == tables.TABLE
    assert polars.read_ipc_stream(wire.data).to_dict(as_series=False) == COLUMNS


def test_a_peer_that_takes_no_tables_is_told_so_with_the_place() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    encoder = Encoder(forms=Forms(tables=False))
    with pytest.raises(EncodeError, match=r"^result\.rows\[0\] .*takes no tables.*to_pylist\(\)"):
        encoder.result(1, {"rows": [pyarrow.table(COLUMNS)]})
    assert encoder.result(1, [pyarrow.array([1])]) == Encoder().result(1, [[1]])


def test_without_pyarrow_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RemoteProtocolError, match=r"needs the Python package pyarrow.*install"):
        decode_value(b"\xc7\x01\x03x")
    # what a class of pandas is: of its name, in a module of that library
    frame = type("DataFrame", (), {"__module__": "pandas.core"})()
    with pytest.raises(EncodeError, match=r"value\[0\] .*needs the Python package pyarrow"):
        Encoder().value([frame])


def test_old_versions_that_run_what_a_table_brings_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    monkeypatch.setattr(pyarrow, "__version__", "14.0.0")
    with pytest.raises(RemoteProtocolError, match=r"install 14\.0\.1 or newer"):
        passed(pyarrow.table(COLUMNS))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"ARROW1\0\0", "this is a file of it"),
        (b"", "stream of Arrow IPC, which this is not"),
        (b"hello, world", "stream of Arrow IPC, which this is not"),
    ],
)
def test_what_is_no_stream_is_the_error_of_its_message(data: bytes, words: str) -> None:
    pytest.importorskip("pyarrow")
    frame = b"\x94\x00\x07\xa1f\x91\xc7" + bytes([len(data)]) + b"\x03" + data
    with pytest.raises(RemoteProtocolError, match=words) as caught:
        decode_message(frame)
    assert caught.value.msgid == 7


def bombs() -> dict[str, Any]:
    pyarrow = pytest.importorskip("pyarrow")
    run = pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([2**31 - 1], "int32"), [7])
    zeros = pyarrow.array([0] * 1_000_000)
    return {
        "nulls": stream(pyarrow.table({"a": pyarrow.nulls(10**9)})),
        "nulls in a list": stream(
            pyarrow.table({"a": pyarrow.ListArray.from_arrays([0, 2**30], pyarrow.nulls(2**30))})
        ),
        "runs": stream(pyarrow.table({"a": run})),
        "zstd": stream(pyarrow.table({"a": zeros}), compression="zstd"),
        "lz4": stream(pyarrow.table({"a": zeros}), compression="lz4"),
    }


def test_a_stream_that_stands_for_much_more_is_refused_before_it_is_read() -> None:
    for name, data in bombs().items():
        assert len(data) < 100_000, name
        with pytest.raises(RemoteProtocolError) as caught:
            tables.decode_table(data)
        assert caught.value.code == "resource_exhausted", name


def test_ordinary_streams_are_read_whatever_is_in_them() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    numbers = random.Random(1).choices(range(2**60), k=5000)
    for columns in (
        {"a": numbers},
        {"a": [True] * 100_000},
        {"a": numbers, "none": [None] * 5000},
        {"none": [None] * 100},
        {"s": [{"p": 1, "q": [1, 2]}] * 1000},
        {"text": ["word"] * 50_000},
        {},
    ):
        table = pyarrow.table(columns)
        for compression in (None, "zstd", "lz4"):
            data = stream(table, compression=compression)
            if compression is None or columns == {"a": numbers}:
                assert tables.decode_table(data).equals(table)


def test_tampered_streams_are_errors_of_their_message() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    rich = pyarrow.table(
        {
            "text": ["x", None, "zz"],
            "lists": [[1], [], [2, 3]],
            "coded": pyarrow.array(["u", "v", "u"]).dictionary_encode(),
            "structs": [{"p": 1}] * 3,
            "nulls": [None] * 3,
        }
    )
    seeds = [stream(rich), stream(rich, compression="zstd")]
    dice = random.Random(20)
    refused = 0
    for _ in range(1500):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(data))
            if dice.random() < 0.5:
                data[place] = dice.choice([0, 1, 127, 128, 255])
            elif dice.random() < 0.5:
                huge = dice.choice([2**31 - 1, 2**63 - 1, -1, 2**40])
                data[place : place + 8] = huge.to_bytes(8, "little", signed=True)
            else:
                del data[place : place + dice.choice([1, 8, 5000])]
                data = data or bytearray(1)
        try:
            table = tables.decode_table(bytes(data))
        except RemoteProtocolError:
            refused += 1
        else:
            table.to_pylist()  # nothing points beyond its buffers
    assert refused > 500


def refusal(value: Any, *, json: bool = False) -> str:
    with pytest.raises(EncodeError) as caught:
        to_plain({"x": [value]}, "result") if json else Encoder().result(1, {"x": [value]})
    assert str(caught.value).startswith("result.x[0] cannot be encoded: ")
    return str(caught.value)


def test_a_frame_says_what_is_wrong_with_it() -> None:
    pandas = pytest.importorskip("pandas")
    assert "a name of its own" in refusal(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    assert ".real and .imag" in refusal(pandas.DataFrame({"a": [1j]}))
    sparse = pandas.DataFrame({"a": pandas.arrays.SparseArray([0, 1])})
    assert "to_dense()" in refusal(sparse)


def test_an_index_of_many_levels_is_a_list_of_lists() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.MultiIndex.from_tuples([(1, "a"), (2, None)])
    assert decode_value(bytes(Encoder().result(1, index)))[3][0] == [1, "a"]


def test_objects_in_a_frame_of_polars_are_refused_at_any_depth() -> None:
    """It would send their addresses."""
    polars = pytest.importorskip("polars")
    objects = polars.Series("held", [object()])
    frame = polars.DataFrame({"n": [1], "held": objects})
    for json in (False, True):
        assert "the column 'held' of objects" in refusal(frame, json=json)
    inner = polars.List(polars.Struct({"n": polars.Int8, "held": polars.Object}))
    assert tables._holds_objects(inner)
    assert not tables._holds_objects(polars.List(polars.Int8))
    categories = polars.Series(["Object"], dtype=polars.Enum(["Object"]))
    assert decode_value(Encoder().value(polars.DataFrame({"a": categories}))).num_rows == 1


def test_times_of_arrow_beyond_the_calendar_are_refused_where_they_are_listed() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    far = pyarrow.array([2**62], pyarrow.timestamp("s"))
    table = pyarrow.table({"at": far})
    assert decode_value(Encoder().value(table)).equals(table)
    for value, json in ((far, False), (far[0], False), (far, True), (table, True)):
        assert "times are in the years 1 to 9999" in refusal(value, json=json)

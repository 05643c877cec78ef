"""What the values of options may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.options import Bytes, Option
from tests.option_values import ONE_OF_A_KIND, TABLE, values


@given(st.data())
@pytest.mark.parametrize("row", ONE_OF_A_KIND, ids=repr)
def test_every_value_is_read_from_the_text_that_shows_it(row: Option, data: st.DataObject) -> None:
    value = data.draw(values(row.kind))
    assert row.kind.read(row.kind.show(value)) == value


WRONG = {
    "--adapter": [""],
    "--max-workers": ["0", "-1", "", "x", "1.5", "0x10"],
    "--max-queue": ["-1"],
    "--max-message-bytes": ["1023", "2147483648", "64M"],
    "--grace": ["-0.1", "1000000.1", "nan", "inf", "-inf", "", "5s"],
    "--port": ["-1", "65536"],
    "--fds": ["", "3", "3,3", "3,4,5", "3,", "-3,4", "a,b", "²,3", "3,2147483648"],
    "--transport": ["", "tcp", "stdio,stdio", "stdio,", "stdio grpc"],
    "--log-level": ["", "WARNING", "debug,info"],
    "--log-format": ["yaml"],
    "--ready-file": [""],
}


@pytest.mark.parametrize(
    ("flag", "text"), [(flag, text) for flag, texts in WRONG.items() for text in texts]
)
def test_what_is_no_value_is_not_read(flag: str, text: str) -> None:
    (row,) = [row for row in TABLE if row.flag == flag]
    with pytest.raises(ValueError):  # noqa: PT011 - whoever calls read() says what is wrong
        row.kind.read(text)


def test_a_size_is_told_in_mebibytes_where_it_has_no_rest() -> None:
    size = Bytes(0, 1 << 40)
    assert [size.describe(number) for number in (3 << 20, 1025)] == ["3145728 (3 MiB)", "1025"]

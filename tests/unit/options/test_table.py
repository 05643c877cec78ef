"""The table of options: its rows, and the classes of settings made of them."""

from __future__ import annotations

import pytest

from bridge.options import Bytes, Group, Option, Options, Switch, Text, WholeNumber, option
from tests.option_values import TABLE

GROUP = Group("some")


class Some(Options):
    name: str = option("--name", Text("NAME", "a name"), "A name.", group=GROUP)
    size: int = option("--size", Bytes(0, 1 << 40), "A size.", group=GROUP, default=3 << 20)
    made: int = option(
        "--made",
        WholeNumber(0),
        "What is made.",
        group=GROUP,
        default_factory=lambda: 7,
        default_text="seven",
    )
    loud: bool = option("--quiet", Switch(), "Be quiet.", group=GROUP, default=True)
    extra: int | None = None

    def __post_init__(self) -> None:
        self.shown = f"{self.name} {self.size}"


def test_values_are_attributes_and_what_is_missing_has_its_default() -> None:
    some = Some(name="x", loud=False)
    assert (some.name, some.size, some.made, some.loud, some.extra) == (
        "x",
        3 << 20,
        7,
        False,
        None,
    )
    assert some.shown == f"x {3 << 20}"
    assert Some(name="x", extra=1).extra == 1


def test_rows_know_where_they_stand() -> None:
    assert list(Some.options) == ["name", "size", "made", "loud"]
    for name, row in Some.options.items():
        assert (row.owner, row.name) == (Some, name)


def test_what_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(TypeError, match="Some needs name"):
        Some()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Some has no colour"):
        Some(name="x", colour=1)  # type: ignore[call-arg]


def test_a_default_is_told_in_words() -> None:
    rows = Some.options
    assert rows["name"].required
    assert [row.default_text for row in rows.values()] == ["", "3145728 (3 MiB)", "seven", ""]


# -- the table itself -------------------------------------------------------------------------


@pytest.mark.parametrize("row", TABLE, ids=repr)
def test_every_default_is_a_value_of_its_option(row: Option) -> None:
    if row.is_switch:
        assert isinstance(row.default, bool)
    elif row.required or row.default is None:
        assert row.required or row.default_text != "None"
    else:
        shown = row.kind.show(row.default)
        assert row.kind.read(shown) == row.default
        assert type(row.kind.read(shown)) is type(row.default)


@pytest.mark.parametrize("row", TABLE, ids=repr)
def test_what_is_said_of_an_option_is_a_sentence(row: Option) -> None:
    assert row.help[0].isupper()
    assert row.help.endswith(".")
    assert row.flag.startswith("--")

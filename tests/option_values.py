"""Values of options and their texts, for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bridge.cli.arguments import all_options
from bridge.options import (
    Choice,
    Choices,
    Descriptors,
    Kind,
    Names,
    Option,
    Seconds,
    SecondsOrOff,
    Text,
    WholeNumber,
)

TABLE = all_options()
#: Those that take a value.
VALUED = [option for option in TABLE if not option.is_switch]
#: One for each class of values: the others read and refuse their texts by the same code.
ONE_OF_A_KIND = list({type(option.kind): option for option in VALUED}.values())
SWITCHES = [option for option in TABLE if option.is_switch]


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Everything that an option of this kind may be."""
    match kind:
        case WholeNumber():
            return st.integers(kind.least, kind.most)
        case Seconds():
            return st.floats(0, kind.most)
        case SecondsOrOff():
            return st.none() | values(Seconds())
        case Choice():
            return st.sampled_from(kind.names)
        case Choices():
            return st.lists(st.sampled_from(kind.names), min_size=1, unique=True).map(tuple)
        case Names():
            words = st.sampled_from(["math", "numpy.linalg", "_a.b1.c"])
            return st.lists(words, min_size=1).map(tuple)
        case Descriptors():
            number = st.integers(0, 2**31 - 1)
            return st.lists(number, min_size=2, max_size=2, unique=True).map(tuple)
        case Text():
            return st.text(min_size=1)
    raise NotImplementedError(kind)


@st.composite
def given_options(draw: st.DrawFn, options: list[Option] = TABLE) -> tuple[Option, Any, list[str]]:
    """An option, what it shall be, and the words that say so."""
    option = draw(st.sampled_from(options))
    if option.is_switch:
        return option, not option.default, [option.flag]
    value = draw(values(option.kind))
    text = option.kind.show(value)
    if text.startswith("--") or draw(st.booleans()):
        return option, value, [f"{option.flag}={text}"]
    return option, value, [option.flag, text]


@st.composite
def wrong_texts(draw: st.DrawFn, option: Option) -> str:
    """What is no value of an option."""
    near = st.sampled_from(
        ["", " ", "-1", "0", "1.5", "nan", "inf", "-inf", "1e999", "99" * 9, "²"]
    )
    more = st.sampled_from(
        ["3", "3,3", "3,4,5", ",", "-3,4", "²,3", "99999999999,1", "stdio,stdio"]
    )
    text = draw(near | more | st.text(max_size=200) | st.text("0123456789-., e", max_size=20))
    try:
        option.kind.read(text)
    except ValueError:
        return text
    return ""

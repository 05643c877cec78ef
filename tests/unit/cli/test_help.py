"""``bridge --help``: all that the table of options says."""

from __future__ import annotations

import pytest

from bridge.cli.help import format_help
from bridge.options import Option
from tests.option_values import TABLE


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(params=["60", "100", "200"])
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The help in a terminal of some width."""
    monkeypatch.setenv("COLUMNS", request.param)
    return one_line(format_help())


@pytest.mark.parametrize("option", TABLE, ids=repr)
def test_every_option_is_there_with_its_value_sentence_and_default(
    option: Option, shown: str
) -> None:
    _, begin, entry = shown.partition(
        f"{option.flag} {option.kind.metavar}".strip() + f" {option.help}"
    )
    assert begin
    if not option.is_switch:
        facts, _, _ = entry.removeprefix(" [").partition("]")
        default = f"; default: {option.default_text}" if option.default_text else ""
        assert facts == f"{option.kind.wants}{default}"


@pytest.mark.parametrize("option", TABLE, ids=repr)
def test_an_option_stands_below_the_title_of_its_group(option: Option, shown: str) -> None:
    above = shown[
        : shown.index(f"{option.flag} {option.kind.metavar}".rstrip() + f" {option.help}")
    ]
    titles = {other.group.title for other in TABLE}
    assert max(titles, key=lambda title: above.rfind(f" {title}: ")) == option.group.title
    assert option.group.description in above

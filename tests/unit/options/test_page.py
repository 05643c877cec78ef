"""``docs/options.md`` says what the table of options says, and its examples what the bridge says."""

from __future__ import annotations

import re

import pytest

from bridge.cli.main import main
from scripts.pages.options import PAGE, write
from tests.option_values import TABLE


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text()
    assert text == write(text), "python -m scripts.pages.options writes it anew"


def test_every_option_has_a_row_and_no_other_has() -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)", PAGE.read_text(), re.M)
    assert sorted(rows) == sorted(option.flag for option in TABLE)


def test_a_page_without_marks_is_not_written() -> None:
    with pytest.raises(ValueError, match="must have the lines"):
        write("# Options\n")


def test_the_mistakes_on_the_page_are_explained_as_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    examples = re.findall(r"\$ python -m bridge (--.*)\n +(bridge: .*\n)", PAGE.read_text())
    assert len(examples) == 2
    for words, message in examples:
        assert main(words.split()) == 2
        assert capsys.readouterr().err == message


#: "`--grace`, 5 s" or "`--max-message-bytes` (64 MiB)".
MENTION = re.compile(r"`(--[a-z-]+)`(?:, | \()(\d+) (s|MiB)\b")


def test_defaults_that_other_pages_mention_are_those_of_the_table() -> None:
    defaults = {option.flag: option.default for option in TABLE}
    pages = [PAGE.parents[1] / "README.md", *PAGE.parent.glob("*.md")]
    mentions = [found for page in pages for found in MENTION.findall(page.read_text())]
    assert mentions
    for flag, number, unit in mentions:
        assert defaults[flag] == int(number) * {"s": 1, "MiB": 1 << 20}[unit], flag

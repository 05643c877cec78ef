"""Log records go to the peer while there is one, and otherwise to stderr, a line each."""

import json
import logging

import pytest

from bridge import log


@pytest.fixture(autouse=True)
def root():
    """The root logger, which is afterwards as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level


class Sent:
    """Stands for the peer; ``there``: does it take records?"""

    def __init__(self, there=True):
        self.there = there
        self.records = []

    def __call__(self, *record):
        self.records.append(record)
        return self.there


def test_a_line_of_text_on_stderr(capsys):
    log.configure("info", "text", None)
    logging.getLogger("my.app").info("hello %s", "you")
    assert capsys.readouterr().err == "info my.app: hello you\n"


def test_a_line_of_json_on_stderr(capsys):
    log.configure("info", "json", None)
    logging.getLogger("my.app").warning("two\nlines, ümlaut")
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields.pop("time") > 0
    assert fields == {"level": "warning", "logger": "my.app", "text": "two\nlines, ümlaut", "thread": "MainThread"}  # fmt: skip
    assert "ümlaut" in line


def test_records_below_the_level_are_left_out(capsys):
    log.configure("warning", "text", None)
    logging.getLogger("my.app").info("too low")
    logging.getLogger("my.app").warning("high enough")
    assert capsys.readouterr().err == "warning my.app: high enough\n"


def test_while_there_is_a_peer_it_gets_the_record_and_stderr_nothing(capsys):
    sent = Sent()
    log.configure("debug", "text", sent)
    logging.getLogger("my.app").debug("x is %d", 3)
    assert sent.records == [("debug", "my.app", "x is 3", {})]
    assert capsys.readouterr().err == ""


def test_when_the_peer_is_gone_the_record_is_written_to_stderr(capsys):
    sent = Sent(there=False)
    log.configure("info", "text", sent)
    logging.getLogger("my.app").error("lost?")
    assert len(sent.records) == 1
    assert capsys.readouterr().err == "error my.app: lost?\n"


@pytest.mark.parametrize(
    ("number", "level"),
    [(5, "debug"), (10, "debug"), (15, "debug"), (20, "info"), (30, "warning"), (40, "error"), (50, "error"), (99, "error")],
)  # fmt: skip
def test_every_number_has_one_of_the_four_levels(number, level):
    sent = Sent()
    log.configure("debug", "text", sent)
    logging.getLogger().setLevel(1)
    logging.getLogger("my.app").log(number, "text")
    assert [record[0] for record in sent.records] == [level]


def test_the_traceback_of_an_exception_is_part_of_the_text():
    sent = Sent()
    log.configure("info", "text", sent)
    try:
        raise ValueError("as expected")
    except ValueError:
        logging.getLogger("my.app").exception("failed")
    text = sent.records[0][2]
    assert text.startswith("failed\nTraceback")
    assert text.endswith("ValueError: as expected")


def test_the_adapters_own_handlers_stay_and_get_their_records(root):
    own, seen = logging.Handler(), []
    own.emit = seen.append
    root.addHandler(own)
    sent = Sent()
    log.configure("info", "text", sent)
    logging.getLogger("my.app").info("both")
    assert own in root.handlers
    assert [record.getMessage() for record in seen] == ["both"]
    assert [record[2] for record in sent.records] == ["both"]


def test_a_record_that_cannot_be_sent_does_not_reach_the_one_who_logs(capsys):
    def broken(*record):
        raise OSError("the pipe is gone")

    log.configure("info", "text", broken)
    logging.getLogger("my.app").info("text")
    assert "the pipe is gone" in capsys.readouterr().err


def test_the_bridges_own_logger_has_its_name(capsys):
    log.configure("info", "text", None)
    log.logger().warning("something")
    assert capsys.readouterr().err == "warning bridge: something\n"


class Leaving:
    def __str__(self):
        raise SystemExit(3)

    __repr__ = __str__


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("at %s", Leaving()), "at %s (what belongs there cannot be shown: SystemExit(3))"),
        (("at %d", "x"), "at %d (what belongs there cannot be shown: TypeError("),
        ((Leaving(),), "a Leaving that cannot be shown (what belongs there"),
        (("caf\udce9",), "caf\\udce9"),
    ],
    ids=["leaves", "wrong type", "no text", "half a character"],
)
def test_a_record_that_cannot_be_made_text_keeps_its_level_and_logger(words, shown, root, capsys):
    root.handlers[:] = []  # pytest's own fails
    sent = Sent()
    log.configure("info", "text", sent)
    logging.getLogger("my.app").error(*words)
    ((level, name, text, _),) = sent.records
    assert (level, name) == ("error", "my.app")
    assert text.startswith(shown)
    assert capsys.readouterr().err == ""


def test_a_very_long_record_is_cut_for_the_peer_and_on_stderr(capsys):
    log.configure("info", "text", None)
    logging.getLogger("my.app").error("x" * (1 << 20))
    line = capsys.readouterr().err
    assert len(line) < 1 << 17
    assert line.endswith(" more bytes)\n")

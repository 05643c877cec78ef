"""Log records go to the peer while there is one, and otherwise to stderr, a line each."""

import io
import json
import logging
import logging.config
import subprocess
import sys
from contextlib import nullcontext

import pytest

from bridge import log


@pytest.fixture(autouse=True)
def root(monkeypatch):
    """The root logger; it and ``logging`` are afterwards as they were."""
    monkeypatch.setattr(logging.Logger, "callHandlers", logging.Logger.callHandlers)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    # a configuration disables every logger that it does not name
    for logger in root.manager.loggerDict.values():
        logger.disabled = False


def capture(level, form, send):
    started = log.LogCapture(level, form, send, nullcontext)
    started.start()
    return started


class Sent:
    """Stands for the peer; ``there``: does it take records?"""

    def __init__(self, there=True):
        self.there = there
        self.records = []

    def __call__(self, *record):
        self.records.append(record)
        return self.there


def test_a_line_of_text_on_stderr(capsys):
    capture("info", "text", None)
    logging.getLogger("my.app").info("hello %s", "you")
    assert capsys.readouterr().err == "info my.app: hello you\n"


def test_a_line_of_json_on_stderr(capsys):
    capture("info", "json", None)
    logging.getLogger("my.app").warning("two\nlines, ümlaut")
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields.pop("time") > 0
    assert fields == {"level": "warning", "logger": "my.app", "text": "two\nlines, ümlaut", "thread": "MainThread"}  # fmt: skip
    assert "ümlaut" in line


def test_records_below_the_level_are_left_out(capsys):
    capture("warning", "text", None)
    logging.getLogger("my.app").info("too low")
    logging.getLogger("my.app").warning("high enough")
    assert capsys.readouterr().err == "warning my.app: high enough\n"


def test_while_there_is_a_peer_it_gets_the_record_and_stderr_nothing(capsys):
    sent = Sent()
    capture("debug", "text", sent)
    logging.getLogger("my.app").debug("x is %d", 3)
    ((level, logger, text, _),) = sent.records
    assert (level, logger, text) == ("debug", "my.app", "x is 3")
    assert capsys.readouterr().err == ""


def test_when_the_peer_is_gone_the_record_is_written_to_stderr(capsys):
    sent = Sent(there=False)
    capture("info", "text", sent)
    logging.getLogger("my.app").error("lost?")
    assert len(sent.records) == 1
    assert capsys.readouterr().err == "error my.app: lost?\n"


@pytest.mark.parametrize(
    ("number", "level"),
    [(5, "debug"), (10, "debug"), (15, "debug"), (20, "info"), (30, "warning"), (40, "error"), (50, "error"), (99, "error")],
)  # fmt: skip
def test_every_number_has_one_of_the_four_levels(number, level):
    sent = Sent()
    capture("debug", "text", sent)
    logging.getLogger().setLevel(1)
    logging.getLogger("my.app").log(number, "text")
    assert [record[0] for record in sent.records] == [level]


def test_the_traceback_of_an_exception_is_part_of_the_text():
    sent = Sent()
    capture("info", "text", sent)
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
    capture("info", "text", sent)
    logging.getLogger("my.app").info("both")
    assert [record.getMessage() for record in seen] == ["both"]
    assert [record[2] for record in sent.records] == ["both"]


def test_a_record_that_cannot_be_sent_does_not_reach_the_one_who_logs(capsys):
    def broken(*record):
        raise OSError("the pipe is gone")

    capture("info", "text", broken)
    logging.getLogger("my.app").info("text")
    assert "the pipe is gone" in capsys.readouterr().err


def test_the_bridges_own_logger_has_its_name(capsys):
    capture("info", "text", None)
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
    capture("info", "text", sent)
    logging.getLogger("my.app").error(*words)
    ((level, name, text, _),) = sent.records
    assert (level, name) == ("error", "my.app")
    assert text.startswith(shown)
    assert capsys.readouterr().err == ""


def test_a_very_long_record_is_cut_for_the_peer_and_on_stderr(capsys):
    capture("info", "text", None)
    logging.getLogger("my.app").error("x" * (1 << 20))
    line = capsys.readouterr().err
    assert len(line) < 1 << 17
    assert line.endswith(" more bytes)\n")


def test_a_record_says_where_it_was_made_and_what_was_given_as_extra():
    sent = Sent()
    capture("info", "text", sent)
    logging.getLogger("shop").warning("sold", extra={"order": 17, "tool": "hammer"})
    fields = sent.records[0][3]
    assert fields.pop("pathname") == __file__
    assert fields.pop("lineno") > 1
    assert fields == {
        "order": 17,
        "tool": "hammer",
        "funcName": "test_a_record_says_where_it_was_made_and_what_was_given_as_extra",
    }


def test_levels_of_other_names_keep_them():
    sent = Sent()
    capture("info", "text", sent)
    logging.getLogger("shop").critical("on fire")
    logging.getLogger("shop").log(25, "a notice")
    own = [(record[0], record[3]["levelno"], record[3]["levelname"]) for record in sent.records]
    assert own == [("error", 50, "CRITICAL"), ("info", 25, "Level 25")]


@pytest.mark.parametrize(
    "configure",
    [
        lambda: logging.basicConfig(force=True, stream=io.StringIO()),
        lambda: logging.config.dictConfig({"version": 1, "root": {"handlers": []}}),
        lambda: setattr(logging.getLogger("shop"), "propagate", False),
        lambda: logging.getLogger("shop").addHandler(logging.NullHandler()),
    ],
    ids=["basicConfig", "dictConfig", "no propagation", "handler of its own"],
)
def test_records_come_whatever_an_adapter_configures(configure, monkeypatch, capsys):
    logger = logging.getLogger("shop")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "disabled", False)
    sent = Sent()
    capture("info", "text", sent)
    configure()
    monkeypatch.setattr(logger, "disabled", False)
    logger.warning("sold")
    assert [record[2] for record in sent.records] == ["sold"]
    assert capsys.readouterr().err == ""


def test_an_adapter_may_configure_logging_as_if_there_were_no_bridge(root):
    root.handlers[:] = []
    capture("warning", "text", Sent())
    stream = io.StringIO()
    logging.basicConfig(stream=stream, level="INFO", format="own %(message)s")
    logging.getLogger("shop").info("sold")
    assert stream.getvalue() == "own sold\n"


def test_what_is_to_be_sent_passes_a_root_logger_that_an_adapter_has_set_higher(root):
    sent = Sent()
    started = capture("debug", "text", sent)
    root.setLevel("ERROR")
    logging.getLogger("shop").debug("not yet")
    started.settle()
    logging.getLogger("shop").debug("now")
    assert [record[2] for record in sent.records] == ["now"]


def test_a_record_without_a_proper_level_does_not_reach_the_one_who_logs(root, capsys):
    root.handlers[:] = []  # pytest's own fails
    sent = Sent()
    capture("info", "text", sent)
    logging.getLogger("shop").handle(logging.makeLogRecord({"levelno": "20", "msg": "odd"}))
    assert sent.records == []
    assert "TypeError" in capsys.readouterr().err


def test_in_a_forked_process_records_are_written_to_stderr(capsys):
    sent = Sent()
    capture("info", "text", sent).forked()
    logging.getLogger("shop").warning("sold")
    assert sent.records == []
    assert capsys.readouterr().err == "warning shop: sold\n"


IMPORTED_LATER = """
import sys
from contextlib import nullcontext
from bridge.log import LogCapture
records = []
LogCapture("info", "text", lambda *record: records.append(record) or True, nullcontext).start()
assert "logging" not in sys.modules
finders = len(sys.meta_path)
import wave  # anything that is not loaded yet
import threading
def work():
    import logging
    logging.getLogger("late").info("hello")
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
import logging
assert logging.__spec__.loader is logging.__loader__
assert type(logging.__loader__).__name__ == "SourceFileLoader"
assert len(sys.meta_path) == finders - 1
print(len(records), *records[0][:3])
"""


def test_records_come_from_the_moment_on_that_logging_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED_LATER], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("8 info late hello\n", "")

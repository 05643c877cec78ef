"""A few seconds of the soak, and that it finds what it is there to find."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.stress.soak.histogram import Histogram
from scripts.stress.soak.ledger import Ledger
from scripts.stress.soak.mix import Mix, Shot
from tests.waiting import PROGRAM_S

ROOT = Path(__file__).parents[2]


def test_a_few_seconds_lose_nothing(tmp_path: Path):
    pytest.importorskip("grpc")
    files = ("--plot", tmp_path / "soak.svg", "--json", tmp_path / "soak.json")
    soak = subprocess.run(
        (sys.executable, "-m", "scripts.stress.soak", "0.036", "--seed", "1", *files),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
    )
    assert soak.returncode == 0, soak.stdout + soak.stderr
    seen = json.loads((tmp_path / "soak.json").read_text())
    for transport in ("stdio", "grpc"):
        ledger = seen["transports"][transport]
        assert ledger["calls"] > 100
        assert [ledger[bad] for bad in ("lost", "duplicated", "wrong", "unexpected")] == [0] * 4
    assert "cancelled" in seen["errors"]
    assert "deadline_exceeded" in seen["errors"]
    assert (tmp_path / "soak.svg").exists() or (tmp_path / "soak.csv").exists()


def call(ledger: Ledger, kind: str = "echo", number: int = 1) -> Shot:
    """A call of a kind, in flight."""
    mix = Mix("1", "caller", pings=True)
    while (shot := mix.next()).kind != kind:
        pass
    ledger.in_flight[number] = shot
    return shot


def test_the_right_answer_is_right():
    ledger = Ledger()
    shot = call(ledger)
    assert ledger.answer(1, None, shot.expected, 1.0) is shot
    ledger.close()
    assert ledger.to_json()["calls"] == 1
    assert ledger.findings == []


def test_a_lost_answer_is_found():
    ledger = Ledger()
    call(ledger)
    ledger.close()
    assert ledger.lost == 1


def test_a_second_answer_is_found():
    ledger = Ledger()
    shot = call(ledger)
    ledger.answer(1, None, shot.expected, 1.0)
    ledger.answer(1, None, shot.expected, 2.0)
    assert ledger.duplicated == 1


def test_an_answer_at_the_wrong_caller_is_found():
    ledger = Ledger()
    first, second = call(ledger, number=1), call(ledger, number=2)
    second.expected = ["somebody else", b""]
    ledger.answer(2, None, first.expected, 1.0)
    assert ledger.wrong == 1


def test_an_error_of_the_wrong_caller_is_found():
    ledger = Ledger()
    call(ledger, "tool raises")
    ledger.answer(1, {"code": "internal", "message": "5a5a.somebody"}, None, 1.0)
    assert ledger.wrong == 1
    assert ledger.unexpected == 0


def test_an_unexpected_error_is_found():
    ledger = Ledger()
    call(ledger)
    ledger.answer(1, {"code": "unavailable", "message": "gone"}, None, 1.0)
    assert (ledger.unexpected, ledger.wrong) == (1, 0)


def test_a_timeout_that_comes_too_soon_is_found():
    ledger = Ledger()
    for number, after_s in ((1, 1.1), (2, 0.9)):
        shot = call(ledger, "timeout, short", number)
        shot.timeout_ms = 1000
        ledger.answer(
            number, {"code": "deadline_exceeded", "message": ""}, None, shot.sent + after_s
        )
    assert (ledger.unexpected, ledger.wrong) == (0, 1)


def test_items_that_are_missing_doubled_or_late_are_found():
    ledger = Ledger()
    shot = call(ledger, "stream")
    shot.count = 3
    ledger.item(1, [shot.signature, 0])
    ledger.item(1, [shot.signature, 0])
    assert ledger.wrong == 1
    ledger.answer(1, None, shot.expected, 1.0)
    assert ledger.wrong == 2
    ledger.item(1, [shot.signature, 2])
    assert ledger.duplicated == 1


def test_progress_after_the_answer_is_found():
    ledger = Ledger()
    shot = call(ledger)
    ledger.progress(1, shot.signature)
    ledger.note(1, shot.signature)
    ledger.answer(1, None, shot.expected, 1.0)
    ledger.note(1, shot.signature)
    assert ledger.findings == []
    ledger.progress(1, shot.signature)
    assert ledger.duplicated == 1


def test_percentiles_are_right_to_three_percent():
    times = Histogram()
    for micros in range(1, 100_001):
        times.add(micros / 1e6)
    for percent in (1, 50, 99, 99.9):
        assert times.percentile_ms(percent) == pytest.approx(percent, rel=0.035)
    assert times.above(0.05) == pytest.approx(50_000, rel=0.035)
    again = Histogram.from_json(json.loads(json.dumps(times.to_json())))
    assert again.counts == times.counts

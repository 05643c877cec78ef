"""``scripts/delays``: what it makes of a module, what it finds, and a short run of it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import CallError
from scripts.stress.delays.injection import FILES, ROOT, inject
from scripts.stress.delays.mix import Caller, Record
from scripts.stress.delays.rounds import Round

MODULE = '''"""Text."""
from __future__ import annotations

LIMIT = 3

class Thing:
    """Text."""

    def run(self, jobs):
        """Text."""
        for job in jobs:
            try:
                found = job()
            except ValueError:
                continue
            finally:
                self.done = True
        if found:
            return found
        with self.lock:
            def later():
                return 2
            return later()
'''


def test_there_may_be_a_delay_before_each_statement_of_a_function() -> None:
    lines = inject(MODULE).splitlines()
    code = [line.strip() for line in lines if line]
    assert code[:3] == ['"""Text."""', "from __future__ import annotations",
                        "from bridge._pauses import pause as _pause"]  # fmt: skip
    statements = ("for job", "try:", "found =", "continue", "self.done", "if found", "return found",
                  "with self", "def later", "return 2", "return later")  # fmt: skip
    for start in statements:
        (place,) = (number for number, line in enumerate(code) if line.startswith(start))
        assert code[place - 1] == "_pause()", start
    assert code.count("_pause()") == len(statements)


@pytest.mark.parametrize("name", FILES)
def test_every_file_with_delays_can_be_compiled(name: str) -> None:
    source = (ROOT / "bridge" / name).read_text()
    injected = inject(source)
    compile(injected, name, "exec")
    assert injected.count("_pause()") > source.count("return")


class Peer:
    """Answers every call with ``answer``."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.responses: dict[int, list[Any]] = {}
        self.items: dict[int, list[Any]] = {}
        self._ids = itertools.count()

    def request(self, method: str, params: list[Any], **options: Any) -> int:
        return next(self._ids)

    def cancel(self, msgid: int) -> None:
        pass

    def result(self, msgid: int, timeout_s: float) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def call(self, method: str, params: list[Any] | None = None) -> Any:
        return self.answer

    def stream(self, *args: Any, **options: Any) -> Any:
        yield self.answer


def faults_of(answer: Any) -> list[str]:
    record = Record()
    peer: Any = Peer(answer)
    caller = Caller(peer, "seed", itertools.count(1), record, stdio=True, held=False)
    caller.run(time.monotonic() + 0.05)
    return record.faults


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("wrong", "'wrong' instead of"),
        (CallError("broken", code="internal"), "internal: broken"),
        (TimeoutError(), "is not answered after"),
    ],
)
def test_what_may_not_come_is_found(answer: Any, said: str) -> None:
    assert any(said in fault for fault in faults_of(answer))


def test_what_was_lost_or_doubled_is_found() -> None:
    one = Round("stdio", "seed", Path(), 0.0)
    peer: Any = Peer(
        {"ran": [1, 2], "twice": [2], "loops": [3, 2], "faults": ["5 was not interrupted"]}
    )
    peer.responses = {7: [(None, 1), (None, 1)]}
    one._record.done += [1, 3]
    one._look_at_account(peer)
    one._expect_one_answer_each(peer, [7, 8])
    assert one.faults == [
        "ran twice: [2]",
        "has a result and never ran: [3]",
        "loops have not ended: [1]",
        "in tools: ['5 was not interrupted']",
        "request 7 has 2 answers",
        "request 8 has 0 answers",
    ]


def test_a_short_run_finds_nothing() -> None:
    words = ("--seconds", "1", "--round-seconds", "1", "--transport", "stdio", "--seed", "1")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.stress.delays", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed 1\nstdio   1  ")
    assert done.stdout.endswith("nothing lost, doubled, late or stuck\n")

"""What ``scripts/chaos`` does to a program, without the program: bridges are processes that sleep."""

from __future__ import annotations

import subprocess

import pytest

from scripts.stress.chaos.faults import Harm
from scripts.stress.chaos.tally import Tally


class Program:
    """Answers as ``load.exs`` does, for one client: when its bridge is gone there is a new one."""

    def __init__(self) -> None:
        self.bridges: dict[str, int] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.had: list[tuple[int, str]] = []
        self.start()

    def start(self) -> None:
        self.processes.append(subprocess.Popen(["sleep", "600"], start_new_session=True))

    def aim(self, client: str) -> int:
        self.bridges[client] = self.processes[-1].pid
        return self.bridges[client]

    def ask(self, word: str, client: str, *rest: object) -> dict[str, str]:
        if word == "call":
            self.had.append((self.processes[-1].pid, str(rest[0])))
            return {"code": "ok"}
        assert word == "settle"
        if self.processes[-1].poll() is not None:
            self.start()
        return {"works_ms": "1", "lost": "0", "os_pid": str(self.processes[-1].pid)}


@pytest.fixture
def program():
    program = Program()
    yield program
    for process in program.processes:
        process.kill()
        process.wait()


def test_what_can_be_done_to_a_process_only_once_gets_a_new_one_each_time(program):
    tally = Tally()
    fault = Harm(tally, 1.0).goes_on("closes_fd_1", code="ok", once=True)
    for _ in range(3):
        fault(program, "python_1")
    assert not tally.problems
    assert program.had == [(process.pid, "closes_fd_1") for process in program.processes]
    assert len(program.processes) == 3
    assert tally.times("closes-fd-1") == 3


def test_what_can_be_done_again_leaves_the_process_alone(program):
    tally = Tally()
    fault = Harm(tally, 1.0).goes_on("raises_system_exit", code="internal")
    for _ in range(2):
        fault(program, "python_1")
    assert tally.problems == ["raises-system-exit: answered ok, not internal"] * 2
    assert len(program.processes) == 1

"""What a forked process does with signals that come at once."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.waiting import WAIT_S

#: ``early`` is what happens in the child before the bridge has its turn.
PROGRAM = """
import os, signal
from bridge.process.fork import Forks

signal.signal(signal.SIGTERM, lambda *_: None)  # as the handler of a drain
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.register_at_fork(after_in_child=lambda: {early})
forks = Forks()
child = os.fork()
if child == 0:
    os._exit(signal.pthread_sigmask(signal.SIG_BLOCK, []) != {{signal.SIGUSR1}})
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
assert blocked == {{signal.SIGUSR1}}, blocked
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def exit_code_of_child(early: str) -> int:
    program = [sys.executable, "-c", PROGRAM.format(early=early)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=WAIT_S)
    assert done.stderr == ""
    return int(done.stdout)


def test_a_signal_that_comes_as_the_child_begins_ends_it():
    assert exit_code_of_child("os.kill(os.getpid(), signal.SIGTERM)") == -signal.SIGTERM


def test_neither_process_keeps_signals_blocked():
    assert exit_code_of_child("None") == 0

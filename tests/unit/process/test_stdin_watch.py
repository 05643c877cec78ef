"""The end of stdin as the end of whoever started the process."""

import os
import subprocess
import sys

from bridge.testing import PATIENCE_S

WATCH = """
import os, sys, threading
from bridge.process import stdin_watch
gone = threading.Event()
stdin_watch.watch_stdin(gone.set)
"""


def start(program, **options):
    return subprocess.Popen(
        [sys.executable, "-c", WATCH + program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_what_is_written_is_no_end_and_the_end_is():
    process = start("gone.wait(); print('gone')")
    process.stdin.write("x\n" * 10_000)
    process.stdin.flush()
    assert process.poll() is None
    assert process.communicate(timeout=PATIENCE_S) == ("gone\n", "")


def test_nobody_else_reads_from_it():
    program = "print([sys.stdin.read(), os.popen('cat').read()], gone.is_set(), flush=True)"
    process = start(program + "; gone.wait()")
    assert process.stdout.readline() == "['', ''] False\n"
    process.communicate(timeout=PATIENCE_S)


def test_a_child_process_does_not_hold_it():
    program = "child = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '60'); print(child, flush=True); gone.wait(); print('gone')"
    process = start(program)
    child = int(process.stdout.readline())
    try:
        process.stdin.close()
        assert process.stdout.readline() == "gone\n"
        process.stdout.close()
        process.stderr.close()
        assert process.wait(PATIENCE_S) == 0
    finally:
        os.kill(child, 9)


def test_output_that_nobody_reads_any_more_is_no_error():
    read, write = os.pipe()
    program = f"""
gone.wait()
print("x" * 100_000, flush=True)
print("x" * 100_000, file=sys.stderr, flush=True)
os.write({write}, b"came through")
"""
    process = start(program, pass_fds=[write])
    os.close(write)
    process.stdout.close()
    process.stderr.close()
    process.stdin.close()
    assert process.wait(PATIENCE_S) == 0
    with open(read, "rb") as told:
        assert told.read() == b"came through"


def test_output_that_is_read_stays():
    process = start("gone.wait(); print('out'); print('err', file=sys.stderr)")
    assert process.communicate(timeout=PATIENCE_S) == ("out\n", "err\n")


def test_without_a_stdin_nothing_is_watched():
    program = "import os; os.close(0)" + WATCH + "print(gone.is_set())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (done.stdout, done.stderr) == ("False\n", "")

"""``scripts/chaos``: do harm to real programs under load, and see that nothing is lost."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from .beam import Beam, BeamFailed
from .faults import Harm
from .tally import Tally

DESCRIPTION = """\
Real Elixir programs call real Python processes without pause: 16 slow calls, quick ones, large
ones, streams, and tools that call back, at once for each. Meanwhile one fault after the other happens to them. After each:
every call that was in flight must be answered, the next one must work, and of a process that has
ended nothing may be left after its grace and a second, child processes of its tools included.

Without --kills the faults come in random order for the given time.
"""
EPILOG = """\
examples:
  scripts/chaos                     every fault, for two minutes
  scripts/chaos 10                  for ten minutes
  scripts/chaos --kills 200         200 kill -9 of the BEAM and 200 of Python
  scripts/chaos 1 --only segfaults  one fault, again and again

exit code: 0 nothing was lost; 1 something was, and the summary says what
"""
GRACE_S = 1.0
#: So many programs stand ready to be killed.
_READY = 2


def main(argv: list[str] | None = None) -> int:
    tally = Tally()
    harm = Harm(tally, GRACE_S)
    to_bridges: dict[str, Callable[[Beam, str], None]] = {
        "kill-bridge": harm.kill_bridge,
        "terminate-bridge": harm.terminate_bridge,
        "stop-bridge": harm.stop_bridge,
        **{
            tool.replace("_", "-"): harm.ends_the_process(tool)
            for tool in ("exits_hard", "segfaults", "aborts", "closes_all_descriptors")
        },
        "raises-system-exit": harm.goes_on("raises_system_exit", code="internal"),
        "raises-keyboard-interrupt": harm.goes_on("raises_keyboard_interrupt", code="internal"),
        "returns-what-exits-when-it-is-shown": harm.goes_on(
            "returns_what_exits_when_it_is_shown", code="internal"
        ),
        "has-no-more-threads": harm.goes_on("has_no_more_threads", code="ok", once=True),
        "closes-fd-1": harm.goes_on("closes_fd_1", code="ok", once=True),
        "forks-and-both-return": harm.goes_on("forks_and_both_return", 1, code="ok"),
        "starts-threads-that-never-end": harm.goes_on("starts_threads_that_never_end", 0, code="ok"),
    }  # fmt: skip
    to_programs = {"kill-beam": harm.kill_beam, "stop-beam": harm.stop_beam}
    names = [*to_programs, *to_bridges]
    options = _parser(names).parse_args(argv)
    faults = [options.only] if options.only else names
    began = time.monotonic()
    # as Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.kills:
            kill(harm, options.kills, _progress(tally), faults)
        else:
            end = began + options.minutes * 60
            run(harm, faults, to_programs, to_bridges, end, _progress(tally))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    except BeamFailed as error:
        tally.problems.append(str(error))
    print(f"\n{tally.table()}\n{tally.line()}\nin {time.monotonic() - began:.0f} s")
    for problem in tally.problems[:20]:
        print(f"PROBLEM  {problem}")
    return 1 if tally.problems or tally.unanswered or tally.orphans else 0


def kill(harm: Harm, times: int, progress: Callable[[], None], faults: list[str]) -> None:
    """kill -9, so many times of the BEAM and so many times of bridges."""
    if "kill-bridge" in faults:
        with _beam(harm, clients=2) as beam:
            for number in range(times):
                harm.kill_bridge(beam, beam.clients[number % 2])
                progress()
    if "kill-beam" in faults:
        with _supply(times) as beams:
            for beam in beams:
                harm.kill_beam(beam)
                progress()


def run(
    harm: Harm,
    faults: list[str],
    to_programs: dict[str, Callable[[Beam], None]],
    to_bridges: dict[str, Callable[[Beam, str], None]],
    end: float,
    progress: Callable[[], None],
) -> None:
    """Faults in random order until ``end``; each kind once before any comes again."""
    with _beam(harm, clients=2) as beam:
        while True:
            for name in random.sample(faults, len(faults)):
                if name == "kill-beam":
                    harm.kill_beam(Beam(1, GRACE_S))
                elif name in to_programs:
                    to_programs[name](beam)
                else:
                    to_bridges[name](beam, random.choice(beam.clients))
                progress()
                if time.monotonic() > end:
                    return


@contextmanager
def _beam(harm: Harm, clients: int) -> Iterator[Beam]:
    """A program for many faults. In the end it is killed as well, and nothing may be left."""
    beam = Beam(clients, GRACE_S)
    try:
        yield beam
        harm.count(beam)
    finally:
        left = beam.close()
        harm.tally.orphans += len(left)


@contextmanager
def _supply(times: int) -> Iterator[Iterator[Beam]]:
    """So many programs, each for one kill; the next ones start while the last one is checked."""
    ready: SimpleQueue[Beam | BeamFailed | None] = SimpleQueue()
    room = threading.Semaphore(_READY)
    stopped = threading.Event()

    def start() -> None:
        for _ in range(times):
            room.acquire()
            if stopped.is_set():
                break
            try:
                ready.put(Beam(1, GRACE_S))
            except BeamFailed as error:
                ready.put(error)
        ready.put(None)

    def take() -> Iterator[Beam]:
        while (beam := ready.get()) is not None:
            room.release()
            if isinstance(beam, BeamFailed):
                raise beam
            yield beam

    thread = threading.Thread(target=start)
    thread.start()
    try:
        yield take()
    finally:
        stopped.set()
        room.release()
        thread.join()
        while not ready.empty():
            beam = ready.get()
            if isinstance(beam, Beam):
                beam.close()


def _progress(tally: Tally) -> Callable[[], None]:
    """One line that updates on a terminal; a plain one every ten seconds otherwise."""
    terminal = sys.stderr.isatty()
    last = time.monotonic()

    def show() -> None:
        nonlocal last
        if terminal:
            print(f"\r\033[K{tally.line()}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - last >= 10:
            last = time.monotonic()
            print(tally.line(), file=sys.stderr, flush=True)

    return show


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("minutes", nargs="?", type=float, default=2.0, help="how long (default: 2)")
    add("--kills", metavar="N", type=int, help="N kills of the BEAM and N of Python instead")
    add("--only", metavar="FAULT", choices=names, help="one of: " + ", ".join(names))
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""``python -m scripts.stress.delays``: the command line of the delays."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from bridge.errors import TransportClosed

from .injection import FILES, make_copy
from .rounds import TRANSPORTS, Round

_ABOUT = f"""\
Serve with random delays at every line of the {len(FILES)} files where threads meet, under mixed load.

A copy of the package is made in which each statement of those files may wait, and threads change
every microsecond. In rounds of some seconds a process of it gets calls, streams, cancels, deadlines,
tools that are ended by force and, over stdio, calls back; then it is left idle, drained, sent SIGTERM,
or its client disappears. Afterwards nothing may be lost, doubled, late or stuck.
"""
_EXAMPLES = """\
  scripts/delays                               a minute over each transport
  scripts/delays --seconds 600                 ten minutes over each
  scripts/delays --transport grpc --seed 7     one of them, with the calls of an earlier run
  scripts/delays --transport stdio --seed 7 --round 12    one round of it, again and again

The seed repeats the calls, the options, the ends and what each thread draws; not the machine. So a
round that found something is repeated until it finds it again.

exit code: 0 all is well; 1 something was wrong, and is shown; 2 usage
"""


def main() -> int:
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    seed = options.seed or str(random.randrange(10**6))
    print(f"seed {seed}", flush=True)
    threading.excepthook = forgive_lost_connection
    found = 0
    with tempfile.TemporaryDirectory(prefix="bridge-delays-") as directory:
        make_copy(Path(directory))
        try:
            for transport in options.transport or TRANSPORTS:
                found += run(transport, seed, Path(directory), options)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
    print(f"{found} rounds found something" if found else "nothing lost, doubled, late or stuck")
    return 1 if found else 0


def forgive_lost_connection(failure: threading.ExceptHookArgs) -> None:
    """A function for tools answers on a thread of its own, which may find the process gone."""
    if not isinstance(failure.exc_value, TransportClosed):
        threading.__excepthook__(failure)


def run(transport: str, seed: str, copy: Path, options: argparse.Namespace) -> int:
    """Rounds over one transport. Returns in how many something was wrong."""
    end = time.monotonic() + options.seconds
    found = number = 0
    while time.monotonic() < end:
        number += 1
        which = number if options.round is None else options.round
        one = Round(transport, f"{seed}/{transport}/{which}", copy, options.round_seconds)
        one.run()
        print(f"{transport} {which:3}  {one.says}", flush=True)
        if one.faults:
            found += 1
            for fault in one.faults[:20]:
                print(f"    {fault}", flush=True)
            print(f"    again: --transport {transport} --seed {seed} --round {which}", flush=True)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "scripts/delays",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds", type=float, default=60, metavar="N", help="for each transport (default: 60)"
    )
    parser.add_argument(
        "--transport",
        action="append",
        choices=TRANSPORTS,
        help="only this one (default: one after the other)",
    )
    parser.add_argument("--seed", help="draw the same again (default: another each time)")
    parser.add_argument("--round", type=int, metavar="N", help="only this round, again and again")
    parser.add_argument(
        "--round-seconds",
        type=float,
        default=4,
        metavar="S",
        help="how long the load of a round lasts (default: 4)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

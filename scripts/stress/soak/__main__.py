"""``python -m scripts.stress.soak``: the command line of the soak."""

from __future__ import annotations

import argparse
import importlib.util
import random
import shutil
import signal
import sys
from pathlib import Path

from . import report
from .plot import draw
from .run import Sample, Soak, Wish

_ABOUT = """\
Put a mixed load on a real bridge, over both transports at once, and check every answer.

Calls of quick and slow tools, failing and serial and async ones, streams, timeouts, cancels, bursts
that fill the queue: drawn at random, each with a signature that only its own answer can contain.
Every ten seconds the load pauses: all must be answered then, and pings beside tools that turn slow
show whether the reader stalls. A row is printed every minute, tables at the end, also after Ctrl-C.
"""
_EXAMPLES = """\
  scripts/soak                       ten minutes
  scripts/soak 0.5 --seed 7          half a minute
  scripts/soak --calls 10000000      until so many calls are answered

Exit code: 0 all is well; 1 something was lost, duplicated, wrong or unexpected; 2 usage.
"""


def main() -> int:
    """Run a soak. Returns the exit code."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    wish = _wish(options)
    print(f"seed {wish.seed}", flush=True)
    soak = Soak(wish)
    display = Display(soak, options.interval)
    try:
        soak.start()
        try:
            soak.run(display.show)
        except KeyboardInterrupt:
            display.say("\nasking for the last answers …")
        soak.end()
    except KeyboardInterrupt:
        soak.faults.append("interrupted before the last answers were here")
    finally:
        soak.kill()
    display.clear()
    if not soak.samples:
        return 1
    print(report.summary(soak))
    if options.json:
        report.save(soak, options.json)
        print(f"\nall of it: {options.json}")
    print(f"\nplot: {draw(soak.samples, options.plot)}")
    return 1 if report.failures(soak) else 0


class Display:
    """A row a minute, and on a terminal a line that changes each second."""

    def __init__(self, soak: Soak, interval_s: float) -> None:
        self._soak = soak
        self._interval_s = interval_s
        self._before: Sample | None = None
        self._last: Sample | None = None
        self._next = interval_s
        self._terminal = sys.stdout.isatty()
        self._begun = False

    def show(self, sample: Sample) -> None:
        """There is a new sample."""
        if not self._begun:
            print(report.HEADER, flush=True)
            self._begun = True
        if sample.elapsed_s >= self._next:
            self._next += self._interval_s
            self.say(report.row(self._soak, self._before, sample))
            errors = sorted(report.errors_by_code(self._soak).items())
            self.say("       " + ", ".join(f"{code} {count:,}" for code, count in errors))
            self._before = sample
        elif self._terminal:
            line = report.row(self._soak, self._last, sample)
            print("\r\033[K" + line[: shutil.get_terminal_size().columns - 1], end="", flush=True)
        self._last = sample

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        print(text, flush=True)

    def clear(self) -> None:
        """Remove the line that changes."""
        if self._terminal:
            print("\r\033[K", end="", flush=True)


def _wish(options: argparse.Namespace) -> Wish:
    minutes = options.minutes
    if minutes is None and options.calls is None:
        minutes = 10.0
    seconds = None if minutes is None else minutes * 60
    grpc = options.grpc
    if grpc and importlib.util.find_spec("grpc") is None:
        print("grpcio is not installed: only stdio is loaded")
        grpc = False
    short = seconds is not None and seconds < 30
    return Wish(
        seconds=seconds,
        calls=options.calls,
        seed=options.seed or str(random.randrange(10**6)),
        grpc=grpc,
        stdio_share=options.stdio_share,
        cycle_s=2.0 if short else 10.0,
        workers=options.workers,
        queue=options.queue,
        bridge=options.bridge.split(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "scripts/soak",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("minutes", nargs="?", type=float, help="how long (default: 10)")
    parser.add_argument("--calls", type=int, metavar="N", help="end after so many calls")
    parser.add_argument("--seed", help="draw the same calls again (default: another each time)")
    parser.add_argument("--no-grpc", dest="grpc", action="store_false", help="stdio alone")
    parser.add_argument(
        "--stdio-share",
        type=float,
        default=0.95,
        metavar="X",
        help="of all calls; gRPC costs ten times as much (default: 0.95)",
    )
    parser.add_argument(
        "--interval", type=float, default=60, metavar="S", help="seconds between rows (default: 60)"
    )
    parser.add_argument("--workers", type=int, default=16, help="of the bridge (default: 16)")
    parser.add_argument(
        "--queue",
        type=int,
        default=240,
        help="room for waiting calls (default: 240, so that bursts of 256 find it full)",
    )
    parser.add_argument(
        "--bridge", default="", metavar="OPTIONS", help="more options of the bridge, in one word"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        default=Path("soak.png"),
        metavar="FILE",
        help="PNG or SVG (default: soak.png); without matplotlib the samples as CSV",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure, for programs")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

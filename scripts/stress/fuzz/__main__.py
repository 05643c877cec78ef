"""The command line of ``scripts/fuzz``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

from . import hostile, live
from .corpus import read_frames, seeds, write_frames
from .live_bridge import Finding
from .targets import TARGETS

CRASHES = Path(__file__).parent / "crashes"
ROOT = Path(__file__).parents[3]
_ALL = [*TARGETS, "live", "grpc", "hostile"]
_MISSING_ATHERIS = "there is no atheris for this Python: only live and grpc can run"

_DESCRIPTION = """\
Look for input that the bridge does not survive, or answers wrongly.

  framing     bytes to frames, wherever the stream is cut     (searched with atheris)
  codec       values and messages, there and back                        "
  json        the JSON forms of values                                   "
  connection  frames to events, and what is in flight                    "
  live        mutated frames against a real process: every frame gets the answers that
              protos/stdio.md says, every good request between them is answered once and rightly
  grpc        the same against a process that serves gRPC, some thousand calls
  hostile     results, names and moments that are hard on a real process

Each target gets the same share of the time. What is found is written to scripts/stress/fuzz/crashes/,
together with the command that shows it again; the exit code is 1 then. Ctrl-C ends it with what
was seen so far, and exit code 130.
"""
_EPILOG = """\
  scripts/fuzz                                    a minute of everything
  scripts/fuzz 600 --target codec                 ten minutes of one target
  scripts/fuzz --target live --frames 10000000    so many frames, however long it takes
  scripts/fuzz --target codec --replay FILE       once more what was found
  scripts/fuzz --target hostile --kind drain      one kind of hostility, again and again

A finding that was mended belongs into scripts/stress/fuzz/corpus.txt, which the tests try always.
"""


def main() -> int:
    """Run what the command line says. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("seconds", nargs="?", type=float, help="how long, all targets together (default: 60)")
    add("--target", choices=[*_ALL, "all"], default="all", help="what to try (default: all)")
    add("--frames", type=int, metavar="N", help="live and grpc: end after so many, not by time")
    add("--seed", type=int, metavar="N", help="what chance begins with (default: another one)")
    add("--no-inline", action="store_true", help="live: have every call run on a worker")
    add("--replay", type=Path, metavar="FILE", help="try only what is in this file")
    add("--kind", choices=list(hostile.KINDS), help="hostile: only this one")
    add("--package", metavar="DIR", help="hostile: try the bridge that is in this directory")
    options = parser.parse_args()
    if options.replay:
        if options.target in ("all", "hostile"):
            parser.error("--replay needs the --target that the file is for")
        return _replay(options.target, options.replay)
    seed = SystemRandom().randrange(2**31) if options.seed is None else options.seed
    targets = _possible(_ALL if options.target == "all" else [options.target])
    seconds = (options.seconds or 60.0) / max(1, len(targets))
    frames = options.frames
    if frames is not None and options.seconds is None:
        seconds = float("inf") if set(targets) <= {"live", "grpc"} else seconds
    print(f"seed {seed}", flush=True)
    CRASHES.mkdir(exist_ok=True)
    found = not targets
    try:
        for target in targets:
            if target in TARGETS:
                found |= _search(target, seconds, seed)
            elif target == "live":
                found |= _drive(seconds, frames, seed, options.no_inline)
            elif target == "hostile":
                found |= _be_hostile(seconds, seed, options.kind, options.package)
            else:
                found |= _call_over_grpc(seconds, frames, seed)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return 1 if found else 130
    return int(found)


def _possible(targets: list[str]) -> list[str]:
    """The targets that this Python can run; installs atheris if it is needed and can be had."""
    if any(target in TARGETS for target in targets) and not _has_atheris():
        print(_MISSING_ATHERIS, file=sys.stderr)
        targets = [target for target in targets if target not in TARGETS]
    if "grpc" in targets and importlib.util.find_spec("grpc") is None:
        print("grpcio is not installed: no target grpc", file=sys.stderr)
        targets.remove("grpc")
    return targets


def _has_atheris() -> bool:
    if importlib.util.find_spec("atheris") is None:
        print("installing atheris", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
        # only if it is built already: building it takes a compiler of LLVM
        command = [*pip, "--quiet", "--only-binary=:all:", "atheris"]
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
        importlib.invalidate_caches()
    return importlib.util.find_spec("atheris") is not None


# -- progress -------------------------------------------------------------------------------


def _progress(name: str) -> Callable[[object], None]:
    """Shows how far it is: one line that changes on a terminal, otherwise one now and then."""
    on_terminal = sys.stdout.isatty()
    interval = 0.5 if on_terminal else 10.0
    shown = time.monotonic()

    def show(text: object) -> None:
        nonlocal shown
        if time.monotonic() - shown >= interval:
            shown = time.monotonic()
            line = f"{name}: {text}"
            print(
                f"\r{line[:150]}\x1b[K" if on_terminal else line,
                end="\r" if on_terminal else "\n",
                flush=True,
            )

    return show


def _summary(name: str, text: object) -> None:
    end = "\x1b[K" if sys.stdout.isatty() else ""
    print(f"{name}: {text}{end}", flush=True)


def _report(target: str, message: str, file: Path) -> None:
    shown = file.relative_to(ROOT)
    print(f"\nFOUND by {target}: {message}\n  {shown}", flush=True)
    print(f"  again: scripts/fuzz --target {target} --replay {shown}", flush=True)


# -- targets --------------------------------------------------------------------------------


def _search(target: str, seconds: float, seed: int) -> bool:
    """Have atheris search for a while. Was something found?"""
    before = set(CRASHES.iterdir())
    with tempfile.TemporaryDirectory() as directory:
        new, known = Path(directory, "new"), Path(directory, "known")
        new.mkdir()
        known.mkdir()
        for name, data in seeds(target).items():
            (known / name).write_bytes(data)
        command = [
            sys.executable, "-m", "scripts.stress.fuzz.guided", target,
            f"-max_total_time={max(1, int(seconds))}", f"-seed={seed % 2**31 or 1}", "-timeout=20",
            "-rss_limit_mb=2048", "-max_len=1500", f"-artifact_prefix={CRASHES}/{target}-",
            str(new), str(known),
        ]  # fmt: skip
        log: list[str] = []
        with subprocess.Popen(
            command, cwd=ROOT, stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
            errors="replace", text=True, env={**os.environ, "PYTHONDEVMODE": ""},
        ) as process:  # fmt: skip
            try:
                _follow(process, log, target)
            except KeyboardInterrupt:
                process.wait()  # it got the same signal
                raise
    crashes = sorted(set(CRASHES.iterdir()) - before)
    for crash in crashes:
        why = [line for line in log if re.match(r"\w*(Error|Exception)\b|ERROR:|ALARM:", line)]
        _report(target, why[0].strip() if why else "see there", crash)
    if process.returncode and not crashes:
        print("".join(log[-30:]), file=sys.stderr)
    return bool(crashes or process.returncode)


def _follow(process: subprocess.Popen[str], log: list[str], target: str) -> None:
    show, done, coverage = _progress(target), "0", "?"
    assert process.stdout is not None
    try:
        for line in process.stdout:
            log.append(line)
            del log[:-200]
            if state := re.match(r"#(\d+)\s.*\bcov: (\d+)", line):
                done, coverage = state.groups()
                show(f"{int(done):,} inputs, coverage {coverage}")
    finally:
        _summary(target, f"{int(done):,} inputs, coverage {coverage}")


def _drive(seconds: float, frames: int | None, seed: int, no_inline: bool) -> bool:
    figures = live.Figures()
    arguments = ["--no-inline"] if no_inline else []
    try:
        live.run(
            seed,
            frames=frames,
            seconds=seconds,
            figures=figures,
            progress=_progress("live"),
            arguments=arguments,
        )
    except Finding as finding:
        _keep("live", seed, finding)
        return True
    finally:
        _summary("live", figures)
    return False


def _keep(target: str, seed: int, finding: Finding) -> None:
    file = CRASHES / f"{target}-seed-{seed}"
    file.write_bytes(write_frames(finding.frames))
    _report(target, str(finding), file)
    if target == "live" and len(finding.frames) > 1:
        print("  shrinking it, a minute at most", flush=True)
        fewer = live.shrink(finding.frames)
        if len(fewer) < len(finding.frames):
            file = CRASHES / f"{target}-seed-{seed}-small"
            file.write_bytes(write_frames(fewer))
            _report(target, f"with {len(fewer)} of {len(finding.frames)} frames", file)


def _be_hostile(seconds: float, seed: int, kind: str | None, package: str | None) -> bool:
    try:
        done = hostile.run(
            seed,
            seconds=seconds,
            kinds=[kind] if kind else None,
            package=str(Path(package or ROOT).resolve()),
            progress=_progress("hostile"),
        )
    except Finding as finding:
        again = f"scripts/fuzz --target hostile --seed {seed}"
        print(f"\nFOUND by hostile: {finding}\n  again: {again}", flush=True)
        return True
    _summary("hostile", dict(done))
    return False


def _call_over_grpc(seconds: float, calls: int | None, seed: int) -> bool:
    from . import grpc_calls

    statuses: Counter[str] = Counter()
    try:
        grpc_calls.run(
            seed, statuses=statuses, calls=calls, seconds=seconds, progress=_progress("grpc")
        )
    except Finding as finding:
        _keep("grpc", seed, finding)
        return True
    finally:
        _summary("grpc", f"{statuses.total():,} calls, {dict(statuses)}")
    return False


def _replay_function(target: str) -> Callable[[list[bytes]], None]:
    if target == "live":
        return live.replay
    from . import grpc_calls  # there may be no grpcio

    return grpc_calls.replay


def _replay(target: str, file: Path) -> int:
    data = file.read_bytes()
    if target in TARGETS:
        TARGETS[target](data)  # the traceback says it all
    else:
        try:
            _replay_function(target)(read_frames(data))
        except Finding as finding:
            print(finding)
            return 1
    print("nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``scripts/test-install``: which environments are tried, and what is said of them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from packaging.requirements import Requirement

from .bounds import check_everywhere, read_requirements
from .builds import PLANTED, build, plant
from .environment import TRANSPORTS, Case
from .interpreters import Interpreter, find_all, look_at
from .uv import CannotInstall

ROOT = Path(__file__).parents[2]
ALL = ("numpy", "grpc", "metrics", "otel", "typed", "arrow")
EXTRAS: tuple[tuple[str, ...], ...] = (
    (),
    ("numpy",),
    ("grpc",),
    ("metrics",),
    ("otel",),
    ("typed",),
    ("arrow",),
    ALL,
)
#: So much of what a process says is shown.
_LINES = 12
_DESCRIPTION = """\
Build the package as for a release, install it into empty environments and make a call over each
transport. Without options: everything, newest and oldest, with the Python of .venv, and a broken
release, which must be noticed.
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="test-install",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--full", action="store_true", help="every set of extras, with every Python that is found")  # fmt: skip
    parser.add_argument("--python", action="append", metavar="PATH", help="with this Python (again for more)")  # fmt: skip
    options = parser.parse_args()
    pythons = _pythons(options.python, options.full)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bridge-install-") as name:
        folder = Path(name)
        wheel = build(ROOT, folder)
        requirements = read_requirements(wheel)
        cases = [
            Case(python, extras, oldest)
            for python in pythons
            for extras in (EXTRAS if options.full else (_all_for(python),))
            for oldest in (False, True)
        ]
        for number, case in enumerate(cases):
            _say(f"{case.title}")
            case.run(wheel, requirements, folder / str(number))
        _say("the bounds for every Python")
        wrong = check_everywhere(requirements, ALL, pythons[0].markers)
        noticed = _notices_the_planted(pythons[0], wheel, requirements, folder)
    print(_table(cases))
    print(*wrong, sep="\n")
    for case in cases:
        for fault in case.faults:
            print(f"\n{case.title}: {_end(fault)}")
    failed = sum(1 for case in cases if case.faults)
    print(f"\n{len(cases)} environments, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed or wrong or not noticed else 0


def _all_for(python: Interpreter) -> tuple[str, ...]:
    """Every extra that can be had: grpcio is not made for free-threaded Python."""
    return ("numpy", "metrics", "otel") if python.free_threaded else ALL


def _pythons(paths: list[str] | None, full: bool) -> list[Interpreter]:
    if paths is None and full:
        return find_all()
    pythons = []
    for path in paths or [sys.executable]:
        python = look_at(path)
        if python is None:
            raise SystemExit(f"test-install: {path} is no Python of 3.11 or newer")
        pythons.append(python)
    return pythons


def _notices_the_planted(
    python: Interpreter, wheel: Path, requirements: list[Requirement], folder: Path
) -> bool:
    """Whether a release that does not work is found, by the calls and by doctor, and mended."""
    if python.free_threaded:
        return True  # nothing there can be broken by it
    _say(f"{PLANTED[0]} {PLANTED[1]}, which is broken")
    case = Case(python, ("grpc",), oldest=False, find_links=plant(folder / "links"))
    case.run(wheel, requirements, folder / "planted")
    cells = {**dict.fromkeys(TRANSPORTS, "FAILED"), "stdio": "answered", "doctor": "ill"}
    if case.installed.get(PLANTED[0]) != PLANTED[1] or case.cells != cells:
        print(f"a broken release was not noticed: {case.cells}", *map(_end, case.faults), sep="\n")
        return False
    case.follow(folder / "planted")
    if case.faults:
        print("what doctor advised has not mended it", *map(_end, case.faults), sep="\n")
    return not case.faults


def _table(cases: list[Case]) -> str:
    columns = (*TRANSPORTS, "doctor")
    rows = [("environment", *columns), ("---",) * (len(columns) + 1)]
    rows += [(case.title, *(case.cells.get(name, "FAILED") for name in columns)) for case in cases]
    versions = [
        f"- {case.title}: "
        + ", ".join(f"{n} {v}" for n, v in sorted(case.installed.items()) if n != "beam-bridge")
        for case in cases
        if case.installed
    ]
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows] + ["", *versions])


def _end(text: str) -> str:
    """The last lines, where a traceback says what it is."""
    return "\n".join(text.splitlines()[-_LINES:])


def _say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotInstall as error:
        sys.exit(f"test-install: {error}")

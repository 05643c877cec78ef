"""Run the test suites of libraries without and with the race check, and compare what passes.

    scripts/suites                 all
    scripts/suites click jinja2    those

Each library is downloaded as source, in the version below, and tested in an environment of its own, in
a temporary directory. Exit 1 if a test passes only without the check, or the checker had a fault.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[3]
#: Seconds for one suite.
_LIMIT_S = 1200


class Suite(NamedTuple):
    """A library: its package, where its code is in its source, and what its tests need."""

    package: str
    code: str
    needs: tuple[str, ...] = ()
    only: str = ""


SUITES = {
    "click==8.5.1": Suite("click", "src", ("click==8.5.1",)),
    "itsdangerous==2.2.0": Suite("itsdangerous", "src", ("freezegun",)),
    # that one compares the text of a traceback, in which calls by way of the check stand as well
    "jinja2==3.1.6": Suite("jinja2", "src", ("markupsafe", "trio"), "not test_runtime_error"),
    # that one has a limit of 1.1 ms
    "tenacity==9.2.1": Suite("tenacity", ".", ("typeguard", "tornado"), "not test_sleeps"),
    # those make half a million calls each, as many as the square of the limit of recursion
    "cachetools==8.0.2": Suite("cachetools", "src", (), "not use_counts"),
}


def run(python: str, source: Path, suite: Suite, watched: bool) -> tuple[str, float, str]:
    """The last line of a run of a suite, how long it took, and all that it printed."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(source / suite.code), str(_ROOT)]),
        "WATCHED_PACKAGE": suite.package if watched else "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [python, "-m", "pytest", "-q", "-p", "scripts.stress.suites.watched", "tests"]
    command += ["-p", "no:cacheprovider", "-p", "no:randomly"]
    if suite.only:
        command += ["-k", suite.only]
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, timeout=_LIMIT_S
    )
    lines = [line for line in done.stdout.splitlines() if re.search(r" in [\d.]+s", line)]
    return (lines or ["no end"])[-1], time.monotonic() - began, done.stdout


def check(requirement: str, suite: Suite, place: Path) -> bool:
    """Run one suite both ways, and say how it went. Returns whether it is the same."""
    python = str(place / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "pytest", *suite.needs], check=True)
    subprocess.run(
        [*pip, "download", "--no-deps", "--no-binary", ":all:", "-d", place, requirement],
        check=True,
    )
    before = set(place.iterdir())
    (archive,) = place.glob(requirement.split("==")[0].replace("-", "_") + "-*.tar.gz")
    subprocess.run(["tar", "xzf", archive, "-C", place], check=True)
    (source,) = set(place.iterdir()) - before
    plain, plain_s, _ = run(python, source, suite, False)
    watched, watched_s, said = run(python, source, suite, True)
    counts = [
        re.sub(r" in [\d.]+s.*|\d+ warnings?,? ?", "", line).strip("= ")
        for line in (plain, watched)
    ]
    same = counts[0] == counts[1] and "faults of the checker: 0" in said
    word = "same" if same else "DIFFERENT"
    print(
        f"{requirement:24} {word:10} {counts[0]} in {plain_s:.1f} s; watched {counts[1]} in {watched_s:.1f} s",
        flush=True,
    )
    if not same:
        print(said[-8000:], flush=True)
    return same


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="of libraries (default: all)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
        python = str(place / "venv" / "bin" / "python")
        subprocess.run(
            [python, "-m", "pip", "-q", "--disable-pip-version-check", "install", "msgpack"],
            check=True,
        )
        chosen = {
            requirement: suite
            for requirement, suite in SUITES.items()
            if not options.names or requirement.split("==")[0] in options.names
        }
        done = [check(*each, place) for each in chosen.items()]
        return 0 if all(done) else 1


sys.exit(main())

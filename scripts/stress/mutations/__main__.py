"""``python -m scripts.stress.mutations``: each mutation in a copy of the tree, and its test there.

A test that passes although its guard is gone tests nothing: that is the failure here, and so is a
mutation whose text does not stand in its file any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .guards import GUARDS, Guard

ROOT = Path(__file__).parents[3]
#: What the tests need of the tree.
COPIED = ("bridge", "tests", "scripts", "protos", "docs", "pyproject.toml", "README.md")
#: A test that waits for what the mutation prevents takes its whole patience.
LIMIT_S = 180


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/mutations",
        description="Take each guard of a numbered interleaving away, and see its test fail.",
    )
    parser.add_argument("words", nargs="*", help="only guards whose file or test contains one")
    words = parser.parse_args().words
    guards = [g for g in GUARDS if not words or any(w in f"{g.file} {g.test}" for w in words)]
    survived = 0
    with tempfile.TemporaryDirectory(prefix="bridge-mutations-") as directory:
        tree = Path(directory)
        copy_tree(tree)
        for guard in guards:
            began = time.monotonic()
            verdict = judge(tree, guard)
            survived += verdict != "killed"
            place = f"{Path(guard.file).name} ({guard.number})"
            print(
                f"{verdict:10} {time.monotonic() - began:5.1f} s  {place:24} {guard.says}",
                flush=True,
            )
    print(f"{len(guards) - survived} of {len(guards)} mutations killed")
    return survived > 0


def copy_tree(tree: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tree / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(source, tree / name)


def judge(tree: Path, guard: Guard) -> str:
    """``killed``: its test passes with the guard, and fails without."""
    path = tree / guard.file
    text = path.read_text()
    if guard.old not in text:
        return "not there"
    if not passes(tree, guard.test):
        return "broken"
    path.write_text(text.replace(guard.old, guard.new, 1))
    try:
        return "survived" if passes(tree, guard.test) else "killed"
    finally:
        path.write_text(text)


def passes(tree: Path, test: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1):
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        sys.exit(f"{test} cannot be run")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())

"""``scripts/test`` tells by its exit code whether all passed, and at its end what did not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "test"


def run(
    root: Path, *arguments: str, once: bool = False, **fails: int
) -> subprocess.CompletedProcess[str]:
    """Run the script in a tree whose parts only say their names and end as they are told.

    Args:
        root: An empty folder.
        arguments: Of the script.
        once: What fails passes when it runs again.
        fails: The exit codes of ``pytest``, ``install``, ``mix`` and ``check``; 0 where none is given.
    """
    (root / "elixir_fixture").mkdir()
    for name, path in {
        "check": "scripts/check",
        "install": "scripts/test-install",
        "mix": "bin/mix",
        "pytest": ".venv/bin/python",
    }.items():
        part = root / path
        part.parent.mkdir(parents=True, exist_ok=True)
        again = f"[ -e {name}.ran ] && exit 0; touch {name}.ran" if once else ""
        part.write_text(f"#!/bin/sh\necho {name} ran: $*\n{again}\nexit {fails.get(name, 0)}\n")
        part.chmod(0o755)
    (root / "scripts" / "setup").write_text(
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."; say() { echo "== $*"; }\n'
    )
    shutil.copy(SCRIPT, root / "scripts" / "test")
    environment = os.environ | {"PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        [str(root / "scripts" / "test"), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_all_passed(tmp_path: Path) -> None:
    ran = run(tmp_path, "-k", "some")
    assert ran.returncode == 0, ran
    for part in ("check ran:", "pytest ran: -m pytest -k some", "install ran:", "mix ran: test"):
        assert part in ran.stdout
    assert "failed" not in ran.stdout
    assert ran.stdout.count("pytest ran:") == 1


def test_every_test_runs_once(tmp_path: Path) -> None:
    ran = run(tmp_path)
    assert ran.returncode == 0, ran
    here, *apart = sorted(re.findall("^pytest ran: -m pytest (.*)$", ran.stdout, re.MULTILINE))
    there = [path for lane in apart for path in lane.split()[2:]]  # after -o cache_dir=...
    assert len(apart) == 3
    assert sorted(here.split()) == sorted(f"--ignore={path}" for path in there)
    assert all(list(SCRIPT.parents[1].glob(path)) for path in there)


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        ({"check": 1}, "check ran:"),
        ({"pytest": 1}, "== pytest failed\npytest ran: -m pytest -k some\n"),
        ({"pytest": 2}, "pytest ran: -m pytest -k some\n"),
        ({"install": 1}, "== what runs beside pytest failed\n"),
        ({"mix": 2}, "== what runs beside pytest failed\n"),
        ({"pytest": 1, "mix": 2}, "== what runs beside pytest failed\n"),
    ],
    ids=str,
)
def test_something_failed(tmp_path: Path, fails: dict[str, int], says: str) -> None:
    ran = run(tmp_path, "-k", "some", **fails)
    assert ran.returncode != 0, ran
    assert says in ran.stdout


@pytest.mark.parametrize("fails", [{"pytest": 1}, {"mix": 2}, {"pytest": 1, "mix": 2}], ids=str)
def test_what_fails_beside_others_and_passes_alone_is_shown_and_does_not_count(
    tmp_path: Path, fails: dict[str, int]
) -> None:
    ran = run(tmp_path, "-k", "some", once=True, **fails)
    assert ran.returncode == 0, ran
    assert ran.stdout.count("passes by itself: mend the test") == len(fails)
    if "pytest" in fails:
        assert "pytest ran: -m pytest --last-failed -k some" in ran.stdout
    if "mix" in fails:
        assert "mix ran: test --failed" in ran.stdout


@pytest.mark.parametrize(
    "fails", [{"check": 1}, {"pytest": 3}, {"install": 1}, {"mix": 1}], ids=str
)
def test_what_is_no_failure_of_a_test_is_not_tried_again(
    tmp_path: Path, fails: dict[str, int]
) -> None:
    ran = run(tmp_path, "-k", "some", once=True, **fails)
    assert ran.returncode != 0, ran
    assert "once more" not in ran.stdout

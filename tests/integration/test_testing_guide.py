"""Every block of ``docs/testing.md``, run as a reader would run it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PROGRAM_S

from .test_pytest_plugin import OPTIONS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "testing.md").read_text()
#: The files of the guide, by the name in their first line.
FILES = {
    re.match(r"# (\S+\.py)\n", block)[1]: block
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
}
COMMANDS = re.findall(
    r"^    python -m bridge (.*)$", re.sub(r"^```.*?^```", "", GUIDE, flags=re.S | re.M), re.M
)


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A directory with all files of the guide."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module where the bridge is found as if it were installed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
    )


def test_every_block_is_known_to_these_tests():
    assert GUIDE.count("```") == 2 * len(FILES)
    assert len(COMMANDS) == 3
    for page in re.findall(r"\]\(([\w./-]+)\)", GUIDE):
        assert (ROOT / "docs" / page).exists(), page


def test_its_tests_pass(reader):
    done = run(reader, "pytest", *OPTIONS)
    expected = GUIDE.count("\ndef test_")
    assert re.search(rf"^{expected} passed in", done.stdout, re.M), done.stdout + done.stderr


def test_its_commands_work(reader):
    outputs = []
    for command in COMMANDS:
        done = run(reader, "bridge", *shlex.split(command))
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    assert "countdown" in outputs[0]
    assert outputs[1].strip() == "3.0"
    assert outputs[2].split()[:3] == ["3", "2", "1"]


def test_its_code_is_formatted(reader):
    pytest.importorskip("ruff")
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for rule in (["check"], ["format", "--check"]):
        done = run(reader, "ruff", *rule, *config, ".")
        assert done.returncode == 0, done.stdout + done.stderr

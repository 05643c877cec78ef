"""The examples in ``docs/``, run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import WAIT_S

pytest.importorskip("grpc")

ROOT = Path(__file__).parents[2]
TOOLS = re.search(
    r"```python\n# python/my_tools.py\n(.*?)```", (ROOT / "README.md").read_text(), re.S
)
GRPC = (ROOT / "docs" / "grpc.md").read_text()


def test_the_python_client_of_the_grpc_page_works(tmp_path):
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "my_tools.py").write_text(TOOLS[1])
    (command,) = re.findall(r"^    python -P -m bridge (--adapter my_tools.*)$", GRPC, re.M)
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", *command.split(), "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        name, _, port = process.stdout.readline().partition(":")
        assert name == "GRPC_READY"
        found = {"port": int(port)}
        for example in re.findall(r"```python\n(.*?)```", GRPC, re.S):
            exec(example, found)
        assert found["items"] == [3, 2, 1]
        found["channel"].close()
        found["steady"].close()
    finally:
        process.terminate()
        process.stdout.close()
        assert process.wait(WAIT_S) == 0

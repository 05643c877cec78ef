"""The pages of the API leave out nothing that is public."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "api"


@pytest.mark.parametrize("package", ["bridge", "bridge.testing", "bridge.thread_safety"])
def test_every_public_name_has_its_place(package: str) -> None:
    page = PAGES / f"{package.removeprefix('bridge.').replace('_', '-')}.md"
    named = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)}
    assert set(importlib.import_module(package).__all__) <= named

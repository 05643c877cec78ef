"""The examples of ``docs/set-up.md``, run as a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "set-up.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# python/(\w+)\.py\n(.*?)```", PAGE, re.S))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, source in EXAMPLES.items():
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


def test_the_examples_of_the_page_work(written: Path, bridge_adapter: Any) -> None:
    rates = bridge_adapter("rates:Rates", app_dir=written)
    assert rates.call("third") == "0." + 50 * "3" + " EUR"
    assert [rates.call("answer") for _ in range(20)] == [42] * 20
    in_place = bridge_adapter("in_place:InPlace", app_dir=written)
    assert in_place.call("raised", [np.arange(3)]).tolist() == [1, 2, 3]

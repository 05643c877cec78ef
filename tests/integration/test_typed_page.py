"""The examples of ``docs/typed.md``, run as a reader would run them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import InvalidParams

pytest.importorskip("msgspec", reason="the extra typed is not here")

PAGE = (Path(__file__).parents[2] / "docs" / "typed.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# python/(\w+)\.py\n(.*?)```", PAGE, re.S))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, source in EXAMPLES.items():
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


def test_the_tools_of_the_page_do_what_it_says(written: Path, bridge_adapter: Any) -> None:
    plain = bridge_adapter("plain_tools:PlainTools", app_dir=written)
    assert plain.call("store", ["Ada", "abc"]) == "1 x 3 bytes for Ada"
    with pytest.raises(InvalidParams) as caught:
        plain.call("store", ["Ada", "abc", "two"])
    assert caught.value.details["path"] == "copies"
    shop = bridge_adapter("shop:Shop", app_dir=written)
    order = {
        "items": [{"name": "tea", "price": "2.50", "size": "large"}],
        "at": datetime(2026, 11, 28, 12, tzinfo=UTC),
    }
    assert shop.call("total", [order]) == "2.50"
    order["items"][0]["price"] = "much"
    with pytest.raises(InvalidParams) as caught:
        shop.call("total", [order])
    assert caught.value.details["path"] == "order.items[0].price"

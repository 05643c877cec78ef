"""The examples of ``docs/values.md``, run as a reader would run them.

Its Elixir is run by ``pages_test.exs``; pandas is there only with ``scripts/test-values``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import CallError, InvalidParams

PAGE = (Path(__file__).parents[2] / "docs" / "values.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# python/(\w+)\.py\n(.*?)```", PAGE, re.S))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, source in EXAMPLES.items():
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


def test_every_example_is_a_file_of_its_own() -> None:
    assert len(re.findall(r"```python", PAGE)) == len(EXAMPLES) == 3


def test_the_error_that_the_page_begins_with(tmp_path: Path, bridge_adapter: Any) -> None:
    (tmp_path / "tools.py").write_text(
        "from bridge import ThreadSafeAdapter, tool\n"
        "class Tools(ThreadSafeAdapter):\n"
        "    @tool(name='Tools.report')\n"
        "    def report(self):\n"
        "        return {'scores': [1, 2, 3, (n for n in 'abc')]}\n"
    )
    with pytest.raises(CallError) as caught:
        bridge_adapter("tools:Tools", app_dir=tmp_path).call("Tools.report")
    (shown,) = re.findall(r"^    (Tools\.report: .*\n    .*)$", PAGE, re.M)
    assert caught.value.message == " ".join(shown.split())


def test_own_types(written: Path, bridge_adapter: Any) -> None:
    till = bridge_adapter("till:Till", app_dir=written)
    assert till.call("add", [{"cents": 5}, [{"cents": 7}]]) == {"cents": 12}
    with pytest.raises(InvalidParams) as caught:
        till.call("add", [{"cents": 5}, [{"euros": 7}]])
    assert "'others'" in caught.value.message


def test_arrays_that_a_tool_changes(written: Path, bridge_adapter: Any) -> None:
    numpy = pytest.importorskip("numpy")
    image = bridge_adapter("image:Image", app_dir=written)
    inverted = image.call("invert", [numpy.array([0, 255, 1], "u1")])
    assert inverted.tolist() == [255, 0, 254]


def test_tables(written: Path, bridge_adapter: Any) -> None:
    pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    sales = bridge_adapter("sales:Sales", app_dir=written)
    rows = [{"region": "north", "sold": 1}, {"region": "south", "sold": 2}]
    rows.append({"region": "north", "sold": 3})
    expected = {"region": ["north", "south"], "sold": [4, 2]}
    for sent in (pyarrow.Table.from_pylist(rows), rows):
        assert sales.call("by_region", [sent]).to_pydict() == expected

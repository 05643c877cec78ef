"""``CONTRIBUTING.md``: the map is complete, its transport works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bridge.adapter import bind_tools
from bridge.calls.dispatcher import Dispatcher
from bridge.calls.pool import Pool
from bridge.tool import tool
from tests.waiting import WAIT_S

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


class Tools:
    @tool
    def add(self, a: int, b: int) -> int:
        return a + b

    @tool
    def countdown(self, start: int) -> Any:
        while start:
            yield start
            start -= 1


def test_the_map_names_every_folder_that_is_there() -> None:
    named = re.findall(r"^\| `([\w/]+)/` \|", PAGE, re.M)
    assert [name for name in named if not (ROOT / name).is_dir()] == []
    packages = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("bridge/**/__init__.py")}
    # a folder of folders needs no line of its own
    assert packages - set(named) == {"bridge/transports"}


def test_the_line_of_the_package_names_every_file_in_it() -> None:
    (line,) = re.findall(r"^\| `bridge/` \|(.*)$", PAGE, re.M)
    there = {path.stem for path in ROOT.glob("bridge/*.py") if not path.stem.startswith("__")}
    assert set(re.findall(r"`(\w+)`", line)) == there


def test_every_script_has_its_line() -> None:
    named = re.findall(r"^\| `scripts/([\w-]+)` \|", PAGE, re.M)
    there = {path.name for path in (ROOT / "scripts").iterdir() if path.is_file()}
    assert set(named) == there


def test_its_transport_calls_tools() -> None:
    (text,) = re.findall(r"^```python\n(# queue_transport.py\n.*?)^```", PAGE, re.M | re.S)
    found: dict[str, Any] = {"__name__": "queue_transport"}
    exec(compile(text, "queue_transport.py", "exec"), found)
    dispatcher = Dispatcher(bind_tools(Tools()), Pool(1, 8))
    peer = found["QueuePeer"](dispatcher)

    def outcome() -> Any:
        return peer.outcomes.get(timeout=WAIT_S)

    try:
        key = peer.ask("add", [1, 2])
        assert outcome() == (key, "result", 3)
        key = peer.ask("countdown", {"start": 2})
        items = [(key, "item", 2), (key, "item", 1)]
        assert [outcome() for _ in range(3)] == [*items, (key, "result", None)]
        key = peer.ask("subtract", [])
        assert outcome() == (key, "error", "not_found")
    finally:
        dispatcher.pool.close()

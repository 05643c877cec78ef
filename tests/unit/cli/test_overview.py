"""The page that ``bridge top`` shows, of statistics as ``$/stats`` answers them."""

from __future__ import annotations

import unicodedata
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.cli.overview import Sample, describe


def histogram(total_s: float = 0.0, **below_us: int) -> dict[str, Any]:
    return {"total_s": total_s, "below_us": {key[1:]: count for key, count in below_us.items()}}


def tool(calls: int = 0, run: dict[str, Any] | None = None, in_flight: int = 0) -> dict[str, Any]:
    wait = histogram(_1=calls) if calls else histogram()
    return {
        "calls": calls,
        "errors": 0,
        "in_flight": in_flight,
        "queue_wait": wait,
        "run_time": run or histogram(),
    }


def stats(tools: dict[str, Any], **changes: Any) -> dict[str, Any]:
    worker = {
        "name": "bridge-worker-1",
        "calls": 3,
        "busy_s": 5.0,
        "tool": None,
        "abandoned": False,
    }
    return {
        "status": "serving",
        "uptime_s": 10.0,
        "busy": 0,
        "max_workers": 4,
        "abandoned": 0,
        "queued": 0,
        "max_queue": 8,
        "max_async": 0,
        "async_running": 0,
        "errors": 0,
        "calls": sum(each["calls"] for each in tools.values()),
        "interrupted": {},
        "tools": tools,
        "workers": [worker],
        "readers": [],
        "python": {"version": "3.11.7"},
        **changes,
    }


def cells(lines: list[str], name: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(name + " ")]
    return line.split()


def test_quantiles_and_rates_are_of_what_came_between_two_looks() -> None:
    early = Sample(stats({"a": tool(100, histogram(1.0, _8=100))}), 50.0)
    later = Sample(stats({"a": tool(200, histogram(3.0, _8=101, _65536=99))}), 52.0)
    since_start = cells(describe("x:1", early), "a")
    assert since_start[1:3] == ["10", "100"]
    assert since_start[-4:] == ["8", "µs", "8", "µs"]
    between = cells(describe("x:1", later, early), "a")
    assert between[1:3] == ["50", "200"]
    # 99 of 100 were slow, while of all that ever came most were quick
    assert between[-4:] == ["66", "ms", "66", "ms"]


def test_the_tools_that_take_most_of_the_time_come_first() -> None:
    tools = {"quick": tool(9, histogram(0.1, _8=9)), "slow": tool(1, histogram(2.0, _2097152=1))}
    lines = describe("x:1", Sample(stats({"idle": tool(), **tools}), 0.0))
    names = [line.split()[0] for line in lines if line]
    assert names.index("slow") < names.index("quick") < names.index("idle")


def test_what_needs_attention_is_said() -> None:
    worker = {"name": "w", "calls": 1, "busy_s": 1.0, "tool": "hangs", "abandoned": True}
    text = "\n".join(
        describe(
            "x:1",
            Sample(
                stats(
                    {"hangs": tool(in_flight=1)},
                    status="stuck",
                    abandoned=1,
                    workers=[worker],
                    interrupted={"deadline_exceeded": 1},
                    queued=8,
                ),
                0.0,
            ),
            fault="nobody",
        )
    )
    for words in ("STUCK", "abandoned 1", "queue 8/8", "hangs (abandoned)", "NO ANSWER: nobody"):
        assert words in text
    assert "deadline_exceeded 1" in text


@given(
    st.dictionaries(st.text(min_size=1, max_size=30), st.integers(0, 10**6), max_size=40),
    st.integers(1, 120),
    st.integers(1, 40),
)
@example({"\u0300": 0}, 1, 1)
def test_a_page_fits_and_moves_no_cursor_whatever_tools_are_called(
    calls: dict[str, int], width: int, height: int
) -> None:
    tools = {name: tool(count, histogram(1.0, _8=count)) for name, count in calls.items()}
    for line in describe("x:1", Sample(stats(tools), 0.0), width=width, height=height):
        # an accent that is a letter of its own is shown above the one before
        assert sum(not unicodedata.combining(letter) for letter in line) <= width
        assert line.isprintable()

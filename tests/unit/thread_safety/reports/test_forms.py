"""A report as SARIF and as a page, and one finding for one fault."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.thread_safety import page_of, sarif_of
from bridge.thread_safety.exercise import check_adapter

from .. import lock_free

FOLDER = str(Path(lock_free.__file__).parent)
RACES = str(Path(__file__).parents[3] / "races")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="module")
def racy():
    return check_adapter("lock_free:Counter", FOLDER)


def test_one_variable_is_one_finding(racy):
    assert [each.variable for each in racy.findings] == ["Counter.n"]


def test_items_of_one_container_are_one_finding():
    report = check_adapter("lock_free:MemoTickets", FOLDER)
    assert len(report.findings) == 1


def test_threads_have_numbers_and_names_of_their_own(racy):
    (finding,) = racy.describe()["findings"]
    first, second = finding["accesses"]
    assert first["thread"] != second["thread"]
    assert all(re.fullmatch(r"bridge-worker-\d+", each["thread_name"]) for each in (first, second))
    assert "(bridge-worker-" in racy.text


def test_two_tasks_of_one_event_loop_are_not_one_thread():
    report = check_adapter("async_lost_update:Broken", RACES)
    pairs = [[access.number for access in each.accesses] for each in report.findings]
    assert pairs
    assert all(len(set(numbers)) == len(numbers) for numbers in pairs)


def test_the_guilty_access_comes_first():
    report = check_adapter("lock_free:LockedPair", FOLDER)
    for finding in report.findings:
        assert finding.accesses[0].held == "without a lock"
        assert finding.accesses[1].held == "holding a lock"
        assert "reads it, without a lock" in finding.text


def test_sarif_names_lines_rules_and_flows(racy):
    described = json.loads(json.dumps(sarif_of(racy, "1.2")))
    assert described["version"] == "2.1.0"
    (run,) = described["runs"]
    (result,) = run["results"]
    assert result["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    place = result["locations"][0]["physicalLocation"]
    line = Path(FOLDER, "lock_free.py").read_text().splitlines()[place["region"]["startLine"] - 1]
    assert "self.n" in line
    assert place["artifactLocation"]["uri"].endswith("lock_free.py")
    assert result["level"] == "error"
    assert len(result["codeFlows"][0]["threadFlows"]) == 2


def test_sarif_says_what_is_a_note():
    results = sarif_of(check_adapter("lock_free:LastValue", FOLDER), "1")["runs"][0]["results"]
    assert [each["level"] for each in results] == ["note"]


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(racy):
    page = page_of(racy, "<script>alert(1)</script>")
    assert "<script" not in page
    assert not re.search(r"""(src|href)=|url\(|@import""", page)
    assert "self.n += 1" in page
    assert page.count('class="side"') == 2
    assert "In time:" in page


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_shown_light_and_dark(racy, dark, tmp_path):
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(page_of(racy, "lock_free:Counter"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    flags += ["--disable-background-networking", "--window-size=1200,900"]
    flags += ["--blink-settings=preferredColorScheme=0"] if dark else []
    flags += [f"--user-data-dir={tmp_path}/profile", f"--screenshot={picture}"]
    subprocess.run([CHROMIUM, *flags, page.as_uri()], check=True, capture_output=True, timeout=120)
    brightness = _brightness_of_corner(picture.read_bytes())
    assert (brightness < 64) is dark
    assert (brightness > 192) is not dark


def _brightness_of_corner(png):
    """The first pixel of a picture: that of the first line, which no filter changes."""
    import struct
    import zlib

    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    pixel = zlib.decompressobj().decompress(data, 4)[1:4]
    return sum(pixel) / len(pixel)

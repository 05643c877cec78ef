"""Every link between the pages of the repository leads to a file that is there, and a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PAGES = ("*.md", "docs/**/*.md", "protos/*.md", "tests/**/*.md")
_FOLDERS = ("bridge", "docs", "elixir_fixture", "protos", "scripts", "tests")
_LINK = re.compile(r"(?<!`)\[[^\]\[]*\]\(([^()\s]+)\)")


def pages() -> list[str]:
    """The pages in Markdown, by their paths from the root of the repository."""
    paths = [path for pattern in _PAGES for path in ROOT.glob(pattern)]
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def without_code(text: str) -> str:
    """A page without its blocks of code, where brackets mean something else."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    """What a link to a heading of a page may name, as GitHub and the built pages make it."""
    headings = re.findall(r"^#{1,6} (.*)$", without_code(path.read_text()), re.M)
    texts = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    here = ROOT / page
    lost = []
    for link in _LINK.findall(without_code(here.read_text())):
        if re.match(r"[a-z]+:", link):
            continue  # elsewhere in the world
        name, _, anchor = link.partition("#")
        target = here if not name else here.parent / name
        if (
            not target.resolve().is_relative_to(ROOT)
            or not target.exists()
            or (anchor and anchor not in anchors(target))
        ):
            lost.append(link)
    assert not lost


@pytest.mark.parametrize("page", pages())
def test_files_that_are_named_are_there(page: str) -> None:
    text = without_code((ROOT / page).read_text())
    named = re.findall(rf"`((?:{'|'.join(_FOLDERS)})/[\w./-]*)", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_there_are_links_to_look_at() -> None:
    assert {"README.md", "docs/architecture.md", "protos/stdio.md"} <= set(pages())
    assert len(_LINK.findall((ROOT / "README.md").read_text())) > 5


def test_every_page_has_its_place_in_the_navigation() -> None:
    listed = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    elsewhere = {"index.md", "contributing.md", "changelog.md", "protocol.md"}
    there = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    assert set(listed) == there | elsewhere

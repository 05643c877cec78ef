"""What ``mkdocs.yml`` needs beside ``docs/``: pages that are elsewhere, and links to files.

The README is the site's first page, and files of the repository that pages link to, such as source
code, become pages of their own: the repository has no address in the net to which they could lead.
mkdocs calls the functions whose names begin with ``on_``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
#: Pages of the repository that are pages of the site, and where.
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "protos/stdio.md": "protocol.md",
}
_LINK = re.compile(r"(!?)\[([^\]\[]*)\]\(([^()\s]+)\)")
#: What a page would load from elsewhere in the world.
_FOREIGN = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc\s*=\s*["']?(?:https?:)?//[^"'\s>]+"""
    r"""|<link\b(?![^>]*rel=["']?(?:canonical|prev|next))[^>]*\bhref\s*=\s*["']?(?:https?:)?//[^"'\s>]+"""
    r"""|(?:@import\s|url\()\s*["']?(?:https?:)?//[^"')\s]+""",
    re.I,
)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in ``docs/``, and one for each file that a page links to."""
    for name, uri in ELSEWHERE.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text()))
    linked: set[str] = set()
    for file in list(files.documentation_pages()):
        change_links(file.content_string, _origin(file.src_uri), linked.add)
    for name in sorted(linked):
        files.append(File.generated(config, _source_page(name), content=_show(name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Have the links of a page lead to pages of the site."""
    if page.file.src_uri.startswith("source/"):
        return markdown
    return change_links(markdown, _origin(page.file.src_uri), lambda name: None)


def on_post_build(config: Any) -> None:
    """Look whether the site would load anything from elsewhere. Raises ``PluginError``."""
    found = []
    for path in Path(config.site_dir).rglob("*"):
        if path.suffix in (".html", ".css"):
            hits = _FOREIGN.findall(path.read_text())
            found += [f"{path.relative_to(config.site_dir)}: {hit}" for hit in hits]
    if found:
        raise PluginError("the site would load from elsewhere:\n" + "\n".join(found))


def change_links(text: str, origin: str, linked: Callable[[str], object]) -> str:
    """Change the links of a page that lead out of ``docs/`` to where they lead in the site.

    Args:
        text: The page, in Markdown.
        origin: Where it is in the repository.
        linked: Called with each file that needs a page of its own.

    Returns:
        The page with its new links. Blocks of code are as they were, and so are links that lead
        nowhere: mkdocs complains of them.
    """

    def change(match: re.Match[str]) -> str:
        mark, label, link = match.groups()
        name, hash_sign, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), name))
        path = ROOT / target
        if re.match(r"[a-z]+:", link) or not name or not path.exists():
            return match[0]
        if path.is_dir():
            return label
        if target in ELSEWHERE:
            uri = ELSEWHERE[target]
        elif target.startswith("docs/"):
            uri = target.removeprefix("docs/")
        else:
            uri = _source_page(target)
            linked(target)
        here = posixpath.dirname(_uri(origin))
        return f"{mark}[{label}]({posixpath.relpath(uri, here or '.')}{hash_sign}{anchor})"

    blocks = re.split(r"(^ *```.*?^ *```$)", text, flags=re.M | re.S)
    return "".join(
        part if number % 2 else _LINK.sub(change, part) for number, part in enumerate(blocks)
    )


def _origin(uri: str) -> str:
    """Where a page of the site is in the repository."""
    for name, elsewhere in ELSEWHERE.items():
        if uri == elsewhere:
            return name
    return f"docs/{uri}"


def _uri(origin: str) -> str:
    return ELSEWHERE.get(origin) or origin.removeprefix("docs/")


def _source_page(name: str) -> str:
    return f"source/{name}.md"


def _show(name: str) -> str:
    """A page with the text of a file."""
    text = (ROOT / name).read_text()
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    language = {".py": "python", ".ex": "elixir", ".exs": "elixir", ".proto": "protobuf"}
    kind = language.get(Path(name).suffix, "text")
    return f"---\nsearch:\n  exclude: true\n---\n\n# {name}\n\n{fence}{kind}\n{text}\n{fence}\n"

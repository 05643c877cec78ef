"""The table as a page of documentation, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from .effects import READS, WRITES, Effect, Effects
from .table import LEVELS, Libraries, Library, level_in_words


def page(libraries: Libraries) -> str:
    """The table as a page of documentation, in Markdown."""
    others = sorted((each for each in libraries if not each.standard), key=_sort_key)
    standard = sorted((each for each in libraries if each.standard), key=_sort_key)
    levels = "\n".join(f"- **{level}**: {words}" for level, words in LEVELS.items())
    head = _HEAD.format(count=len(others), levels=levels)
    rows = Effects().rows()
    tested = {row.library for row in rows if row.tested}
    parts = (
        head, *_overview(others, tested), *_effects(rows), *_chapters(others), _STANDARD,
        *_chapters(standard),
    )  # fmt: skip
    return "\n".join(parts).rstrip("\n") + "\n"


_HEAD = """# Which libraries are safe on several threads?

Tools run on several threads at once, so what they call must bear that. This page says what is
known of {count} libraries and of Python's own, from their documentation and their maintainers. It
is printed by `python -m bridge.thread_safety.libraries` from the table
`bridge/thread_safety/libraries/libraries.toml`; a test compares them.

The levels are [CPython's](https://docs.python.org/3/library/threadsafety.html), worst first:

{levels}

A library that is missing here is not known to be unsafe: it is not known. "GIL released" is about
its main work, or the wait of a client; where it says yes, threads can work in parallel on every
Python. "Free-threaded" names the first version with a wheel for free-threaded Python, according
to the [tracking page](https://py-free-threading.github.io/tracking/) of 28 June 2026 and the
sources; where neither says, the newest that has one for Python 3.14 in the package index on 29 November 2026.
"pure" needs none, or has one for every Python; "none" has none, or only one for the stable ABI, which
free-threaded Python does not load. "Seen" says whether what its methods do was tried out, with two readers that
are quiet and a writer that is found (see [below](#what-methods-do)), or is known by documentation only;
"Version" is the one that the row was last compared with, on the day beside it.

## Libraries
"""

_EFFECTS = """## What methods do

An object that threads share may be read by all of them, or written by one. This is what the check knows
of methods, operators and attributes; "..." stands for all others. "Tested" names the version with which
two readers were quiet and a reader beside a writer was found; the others are known by documentation.

| Type | Reads | Writes | Tested | On |
| --- | --- | --- | --- | --- |"""

_STANDARD = """## Python's standard library

Its modules are harmless to import. What stands here changes the state of the whole process, or
makes objects that must not be shared.
"""


def _sort_key(library: Library) -> str:
    return library.name.lower()


def _overview(libraries: list[Library], tested: set[str]) -> list[str]:
    """A table with a row for each."""
    rows = [
        f"| [{each.name}](#{_anchor(each.name)}) | {each.level} | {each.gil_released} "
        f"| {each.free_threaded_since} | {each.version} | {each.date} "
        f"| {'tested' if each.name in tested else 'by documentation'} |"
        for each in libraries
    ]
    return [
        "| Library | Level | GIL released | Free-threaded | Version | On | Seen |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _effects(rows: list[Effect]) -> Iterator[str]:
    """A table of what is known of each type."""
    yield _EFFECTS
    for row in sorted(rows, key=lambda each: each.type.lower()):
        reads, writes = (_codes(row.names(mode)) for mode in (READS, WRITES))
        yield f"| `{row.type}` | {reads} | {writes} | {row.tested or 'by documentation'} | {row.date} |"
    yield ""


def _codes(names: list[str]) -> str:
    return ", ".join("..." if name == "..." else f"`{name}`" for name in names)


def _chapters(libraries: list[Library]) -> Iterator[str]:
    """What there is to say of each library."""
    for library in libraries:
        yield f"### {library.name}\n"
        if not library.standard:
            yield f"**{library.level}**: {level_in_words(library.level, library.affinity)}.\n"
        yield f"{library.caveat} *Instead:* {library.workaround}\n"
        for part in library.objects:
            words = level_in_words(part.level, part.affinity)
            yield f"- `{part.type}`: **{part.level}**, {words}. {part.caveat}"
        yield f"\nLooked at with version {library.version}, on {library.date}.\n"
        links = (f"[{number}]({url})" for number, url in enumerate(library.sources, 1))
        yield ("\n" if library.objects else "") + f"Sources: {', '.join(links)}\n"


def _anchor(title: str) -> str:
    """The fragment that a heading gets on the sites that render Markdown."""
    return "".join(each for each in title.lower() if each.isalnum() or each in "-_")

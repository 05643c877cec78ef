"""What is written by hand on a page, and what a program writes between two marks of it."""

from __future__ import annotations


def begin_of(module: str) -> str:
    """The line after which ``python -m module`` writes."""
    return f"<!-- begin of what python -m {module} writes -->\n"


END = "<!-- end of it -->\n"


def write_between(text: str, module: str, tables: str) -> str:
    """The text of a page with new tables. Raises ``ValueError`` if its marks are not there.

    Args:
        text: Of the page.
        module: What writes the tables; one of the marks names it.
        tables: What stands between the marks then.
    """
    before, begin, rest = text.partition(begin_of(module))
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must have the lines\n{begin_of(module)}{END}")
    return f"{before}{begin}\n{tables}\n{end}{after}"

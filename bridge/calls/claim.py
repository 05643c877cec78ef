"""The right to answer a call, which exists once.

Whoever takes it answers the call: its worker, a cancel, its deadline, or the end. A claim that nobody
has taken is a list of one item, ``[True]``, and true; another thread may take it at any moment.

A list, because taking the last item of one is atomic, with the GIL and without; and a plain one,
because one is made for each call, and an object of a class of its own takes six times as long.
"""

from __future__ import annotations


def take(claim: list[bool]) -> bool:
    """Take it. False if somebody has. Any thread; True exactly once."""
    try:
        claim.pop()
    except IndexError:
        return False
    return True

"""The right to answer a call, which exists once."""

from __future__ import annotations

#: What a claim is made of that nobody has taken: ``Claim(FREE)``.
FREE = (True,)


class Claim(list[bool]):
    """Whoever takes it answers the call: its worker, a cancel, its deadline, or the end.

    Any thread may call any of the methods; ``take`` returns True exactly once. It is true as long
    as it can be taken, which another thread may do at any moment.

    A list, because taking the last item of one is atomic, with the GIL and without, and because
    one is made for each call: an object that holds a list takes twice as long to make.
    """

    __slots__ = ()

    def take(self) -> bool:
        """Take it. False if somebody has."""
        try:
            self.pop()
        except IndexError:
            return False
        return True

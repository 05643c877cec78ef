"""Tools whose names and texts are a trial for whoever writes Elixir of them."""

from __future__ import annotations

from collections.abc import Iterator

from bridge import Context, ThreadSafeAdapter, tool

print("printed while it is imported")


class GenTools(ThreadSafeAdapter):
    @tool
    def predict(self, text: str, top: int = 1, *, exact: bool = False) -> list[str]:
        '''Predicts.

        Not run: #{System.halt(7)} and """ and \\ and \\" and ~S""" and \\#{1} and ~s[]
        <script> and \u202e and \x07 and # and é.
        """
        #{raise "not run"}
        '''
        return [text] * top + (["exact"] if exact else [])

    @tool(name="Get-Value 2!", description='"one" #{System.halt(8)} \\')
    def get_value(self, end: str, client: int, Options: list[int], _x: float, fn: bytes) -> str:
        return f"{end} {client} {Options} {_x} {fn!r}"

    @tool(name="end", description="A reserved word.\n")
    def end(self) -> None:
        return None

    @tool(name="if", description="")
    def if_(self, a: int = 1) -> int:
        return a

    @tool(name="2nd")
    def second(self, marker: object = object()) -> bool:
        return marker is not None

    @tool
    def count(self, stop: int, step: int = 1, ctx: Context | None = None) -> Iterator[int]:
        """Counts."""
        yield from range(0, stop, step)

    @tool
    def many(self, first: int, *rest: int) -> int:
        return first + sum(rest)

    @tool
    def named(self, first: int, **rest: int) -> int:
        return first + sum(rest.values())

    @tool(name="größe")
    def size(self, wert: str) -> int:
        return len(wert)

    @tool(name="🐍")
    def snake(self) -> str:
        return "🐍"

    @tool(name="Named")
    def named_again(self, a: int, /, b: int = 2) -> int:
        return a * b

"""What the value of an option may be: how its text is read, and what is right instead of a wrong one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Kind:
    """What the values of an option may be.

    Args:
        metavar: What help calls a value.
        wants: What is right, for whoever gave something else: "must be …".
    """

    def __init__(self, metavar: str, wants: str) -> None:
        self.metavar = metavar
        self.wants = wants

    def read(self, text: str) -> Any:
        """The value that ``text`` means. Raises ``ValueError`` for what is not wanted."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """The text that ``read`` makes ``value`` of."""
        return str(value)

    def describe(self, value: Any) -> str:
        """A value in the words of help, with its unit where ``metavar`` does not name it."""
        return self.show(value)


class Text(Kind):
    """Any text that is not empty."""

    def read(self, text: str) -> str:
        if not text:
            raise ValueError
        return text


class WholeNumber(Kind):
    """A whole number from ``least`` to ``most``, None: no limit."""

    def __init__(self, least: int, most: int | None = None, metavar: str = "N") -> None:
        limits = f", {least} or more" if most is None else f" from {least} to {most}"
        super().__init__(metavar, f"a whole number{limits}")
        self.least = least
        self.most = most

    def read(self, text: str) -> int:
        value = int(text)
        if value < self.least or (self.most is not None and value > self.most):
            raise ValueError
        return value


class Bytes(WholeNumber):
    """A size in bytes."""

    def __init__(self, least: int, most: int | None = None) -> None:
        super().__init__(least, most, "BYTES")

    def describe(self, value: int) -> str:
        mib, rest = divmod(value, 1 << 20)
        return str(value) if rest else f"{value} ({mib} MiB)"


class Seconds(Kind):
    """A number of seconds, finite."""

    def __init__(self, most: int = 1_000_000) -> None:
        super().__init__("SECONDS", f"a number of seconds from 0 to {most}")
        self.most = most

    def read(self, text: str) -> float:
        value = float(text)
        if not 0 <= value <= self.most:  # nor is NaN
            raise ValueError
        return value

    def show(self, value: float) -> str:
        return repr(float(value)).removesuffix(".0")


class SecondsOrOff(Kind):
    """A number of seconds, or ``off``, whose value is None."""

    def __init__(self) -> None:
        self._seconds = Seconds()
        super().__init__(self._seconds.metavar, f"{self._seconds.wants}, or off")

    def read(self, text: str) -> float | None:
        return None if text == "off" else self._seconds.read(text)

    def show(self, value: float | None) -> str:
        return "off" if value is None else self._seconds.show(value)


class Choice(Kind):
    """One of a few names."""

    def __init__(self, metavar: str, *names: str) -> None:
        super().__init__(metavar, f"{', '.join(names[:-1])} or {names[-1]}")
        self.names = names

    def read(self, text: str) -> str:
        if text not in self.names:
            raise ValueError
        return text


class Choices(Kind):
    """One or more of a few names, with commas between them, none of them twice."""

    def __init__(self, metavar: str, *names: str) -> None:
        super().__init__(metavar, f"{', '.join(names)}, or {','.join(names)}")
        self.names = names

    def read(self, text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(","))
        if not set(names) <= set(self.names) or len(set(names)) < len(names):
            raise ValueError
        return names

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


class Names(Kind):
    """One or more names of Python, dotted, with commas between them."""

    def read(self, text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(","))
        if not all(part.isidentifier() for name in names for part in name.split(".")):
            raise ValueError
        return names

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


class Descriptors(Kind):
    """Two file descriptors, for what comes in and what goes out."""

    def __init__(self) -> None:
        super().__init__("IN,OUT", "two different descriptors, like 3,4")

    def read(self, text: str) -> tuple[int, int]:
        texts = text.split(",")
        if not all(text.isascii() and text.isdigit() for text in texts):
            raise ValueError
        source, sink = map(int, texts)  # ValueError as well for more than two, or fewer
        # the kernel's type for them is C's int
        if source == sink or max(source, sink) >= 1 << 31:
            raise ValueError
        return source, sink

    def show(self, value: tuple[int, int]) -> str:
        return f"{value[0]},{value[1]}"


class Switch(Kind):
    """No value: the option is there or not. Where it is, the setting is not its default."""

    def __init__(self) -> None:
        super().__init__("", "without a value")

    def read(self, text: str) -> bool:
        raise ValueError

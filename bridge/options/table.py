"""The rows of the table of options, and the classes of settings that are made of them.

A class of settings is a part of the table; each of its attributes is a row, and holds the value that
the option has. From the rows come the defaults, what is read from the command line, ``--help`` and
``docs/options.md``: whatever is said about an option is said in its row alone.
"""

from __future__ import annotations

from .kinds import Switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform, overload

    from .kinds import Kind

    T = TypeVar("T")
    T_co = TypeVar("T_co", covariant=True)

    class Reads(Protocol[T_co]):
        """A kind of values of this type."""

        def read(self, text: str) -> T_co: ...

else:

    def dataclass_transform(**_: Any) -> Any:
        """Nothing while the program runs: it tells type checkers what a class is built with."""
        return lambda cls: cls


class Group:
    """Options that help shows together, under ``title`` and a ``description``."""

    def __init__(self, title: str, description: str = "") -> None:
        self.title = title
        self.description = description


class Option:
    """A row of the table; in a class of settings, it is written ``name: type = option(…)``.

    Args:
        flag: What it is called on the command line.
        kind: What its value may be.
        help: What it is for: sentences that begin with a capital and end with a full stop.
        group: Where help shows it.
        default: The value without the option. With neither this nor ``default_factory`` the
            option is required.
        default_factory: Gives the default where it depends on the machine.
        default_text: The default in words, where its value does not tell.
    """

    #: The attribute of the class of settings, and that class.
    name: str
    owner: type[Options]

    def __init__(
        self,
        flag: str,
        kind: Kind,
        help: str,
        *,
        group: Group,
        default: Any = ...,
        default_factory: Callable[[], Any] | None = None,
        default_text: str | None = None,
    ) -> None:
        self.flag = flag
        self.kind = kind
        self.help = help
        self.group = group
        self.is_switch = isinstance(kind, Switch)
        self.required = default is ... and default_factory is None
        self._default = default
        self._default_factory = default_factory
        self._default_text = default_text

    def __set_name__(self, owner: type[Options], name: str) -> None:
        self.owner, self.name = owner, name

    def __repr__(self) -> str:
        return f"<Option {self.flag}>"

    @property
    def default(self) -> Any:
        """The value without the option; ``...`` if it is required."""
        return self._default if self._default_factory is None else self._default_factory()

    @property
    def default_text(self) -> str:
        """The default in words; empty for a switch, and where there is none."""
        if self._default_text is not None:
            return self._default_text
        if self.is_switch or self.required or self.default is None:
            return ""
        return self.kind.describe(self.default)


if TYPE_CHECKING:
    # the type of an attribute is what its kind reads

    @overload
    def option(
        flag: str, kind: Reads[T], help: str, *, group: Group, default: T
    ) -> T: ...  # an ordinary default

    @overload
    def option(
        flag: str,
        kind: Reads[T],
        help: str,
        *,
        group: Group,
        default: None,
        default_text: str = ...,
    ) -> T | None: ...

    @overload
    def option(
        flag: str,
        kind: Reads[T],
        help: str,
        *,
        group: Group,
        default_factory: Callable[[], T],
        default_text: str,
    ) -> T: ...

    @overload
    def option(flag: str, kind: Reads[T], help: str, *, group: Group) -> T: ...

    def option(*args: Any, **kwargs: Any) -> Any: ...

else:
    option = Option


@dataclass_transform(kw_only_default=True, field_specifiers=(option,))
class Options:
    """A part of the table, and the values of its options by the names of the rows.

    Args:
        values: The values by name; what is missing has its default.

    Raises:
        TypeError: If a required one is missing, or one is not in the table.
    """

    #: The rows by name, in the order of help.
    options: ClassVar[dict[str, Option]]

    def __init_subclass__(cls) -> None:
        cls.options = {name: row for name, row in vars(cls).items() if isinstance(row, Option)}

    def __init__(self, **values: Any) -> None:
        for name in values:
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no {name}")
        for name, row in self.options.items():
            if name not in values:
                if row.required:
                    raise TypeError(f"{type(self).__name__} needs {name}")
                values[name] = row.default
        vars(self).update(values)
        self.__post_init__()

    def __post_init__(self) -> None:
        """Finish what the values are not enough for."""

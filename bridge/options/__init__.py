"""One table of options: what each is called, what its value may be, its default and what it is for.

The rows stand where their values are used, in ``bridge.process.settings`` and
``bridge.transports.grpc.settings``. Every start loads this folder, so it loads nothing itself.
"""

from .kinds import (
    Bytes,
    Choice,
    Choices,
    Descriptors,
    Kind,
    Names,
    Seconds,
    SecondsOrOff,
    Switch,
    Text,
    WholeNumber,
)
from .table import Group, Option, Options, option

__all__ = [
    "Bytes",
    "Choice",
    "Choices",
    "Descriptors",
    "Kind",
    "Names",
    "Seconds",
    "SecondsOrOff",
    "Switch",
    "Text",
    "WholeNumber",
    "Group",
    "Option",
    "Options",
    "option",
]

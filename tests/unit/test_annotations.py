"""The annotations of all that is public can be read at run time, as tools for documentation do."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import pytest

PACKAGES = ("bridge", "bridge.testing", "bridge.thread_safety", "bridge.adapters", "bridge.calls")
#: Of what is not public: what somebody implements to add a transport.
INTERFACES = ("CallView", "Job", "Output", "Peer", "Sink")


def public() -> Iterator[tuple[str, Any]]:
    """All that ``__all__`` names, and the members of the classes in it, inherited ones too."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in INTERFACES if package == "bridge.calls" else module.__all__:
            value = getattr(module, name, None) or importlib.import_module(f"{package}.{name}")
            yield from found(f"{package}.{name}", value)


def found(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What has annotations in a public object, which may be a module."""
    if inspect.ismodule(value):
        for key, member in vars(value).items():
            if getattr(member, "__module__", None) == value.__name__ and not key.startswith("_"):
                yield from found(f"{name}.{key}", member)
    elif inspect.isclass(value):
        yield name, value
        yield from members(name, value)
    elif inspect.isfunction(value):
        yield name, value


def members(name: str, cls: type) -> Iterator[tuple[str, Any]]:
    for base in cls.__mro__:
        for key, member in vars(base).items() if base.__module__.startswith("bridge.") else ():
            if isinstance(member, property):
                member = member.fget
            elif isinstance(member, staticmethod | classmethod):
                member = member.__func__
            if inspect.isfunction(member):
                yield f"{name}.{key}", member


EVERYTHING = dict(public())


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_annotations_can_be_read(name: str) -> None:
    value = EVERYTHING[name]
    assert typing.get_type_hints(value).keys() >= inspect.get_annotations(value).keys()


def test_there_is_much_to_read() -> None:
    assert {"bridge.Context.on_cancel", "bridge.tool", "bridge.testing.PortPeer.stream"} <= set(
        EVERYTHING
    )

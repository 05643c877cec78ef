"""The requirements of the package, and whether the oldest versions were really those they name."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from .uv import CannotInstall, uv

#: Those that bounds are declared for, whether they are here or not.
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
_BARE = ("--quiet", "--no-header", "--no-annotate")
OLDEST = ("--resolution", "lowest-direct", "--only-binary", ":all:")


def read_requirements(wheel: Path) -> list[Requirement]:
    """What a wheel asks for, of all its extras."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    return [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]


def select(
    requirements: Iterable[Requirement], extras: Iterable[str], markers: Mapping[str, str]
) -> list[Requirement]:
    """Those that hold for an interpreter when the package is installed with these extras."""
    wanted = ["", *extras]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None
        or any(requirement.marker.evaluate({**markers, "extra": extra}) for extra in wanted)
    ]


def differences(requirements: Iterable[Requirement], installed: Mapping[str, str]) -> list[str]:
    """Where what was resolved is not the lower bound, a sentence each.

    ``installed``: versions by canonical name.
    """
    wrong = []
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        bound = next((s.version for s in requirement.specifier if s.operator == ">="), None)
        version = installed.get(name)
        if bound is None:
            wrong.append(f"{requirement} names no lower bound")
        elif version is None:
            wrong.append(f"{requirement} was not installed")
        elif Version(version) != Version(bound):
            wrong.append(f"pyproject.toml names {name}>={bound}, but the oldest is {version}")
    return wrong


def check_everywhere(
    requirements: list[Requirement], extras: Iterable[str], markers: Mapping[str, str]
) -> list[str]:
    """Resolve the oldest versions for every Python, without one. Returns what is wrong.

    ``markers``: those of a Python of this machine; all but its version hold for the others.
    """
    wrong = []
    for python in PYTHONS:
        here = {**markers, "python_version": python, "python_full_version": f"{python}.0"}
        wanted = select(requirements, extras, here)
        lines = "\n".join(f"{r.name}{r.specifier}" for r in wanted)
        # without --python, uv looks for an interpreter of that version, for ten seconds
        versions = ("--python", sys.executable, "--python-version", python)
        try:
            resolved = uv("pip", "compile", *_BARE, *versions, *OLDEST, "-", stdin=lines)
        except CannotInstall as error:
            wrong.append(f"Python {python}: {error}")
            continue
        installed = dict(line.split("==") for line in resolved.split())
        wrong += [f"Python {python}: {fault}" for fault in differences(wanted, installed)]
    return wrong

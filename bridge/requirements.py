"""The packages that the bridge asks for, and the command that installs them into this Python.

Nothing of this is known by heart: the requirements are those that the installed package declares
(or, of a checkout that was never installed, ``pyproject.toml``), and the command is one that works
for the interpreter that runs. Loaded when something is missing, and by ``bridge doctor``.
"""

from __future__ import annotations

import ast
import operator
import os
import re
import shlex
import shutil
import sys
import sysconfig
from functools import cache
from importlib import metadata
from importlib.util import find_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

#: The name of the package for installers, which is on no index.
DISTRIBUTION = "beam-bridge"
_COMPARISONS: dict[type, Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class Requirement:
    """A package and the oldest version of it that will do; ``bound`` is empty if any will."""

    def __init__(self, name: str, bound: str = "") -> None:
        self.name = name
        self.bound = bound

    def __str__(self) -> str:
        return f"{self.name}>={self.bound}" if self.bound else self.name

    @property
    def installed(self) -> str | None:
        """The version that is here; None: there is none."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None

    @property
    def met(self) -> bool:
        """Whether the package is here, and new enough."""
        version = self.installed
        return version is not None and _numbers(version) >= _numbers(self.bound)


@cache
def requirements(extra: str = "") -> tuple[Requirement, ...]:
    """What the bridge needs in this Python.

    Args:
        extra: What one of its extras needs beside that, and nothing else; default: none.

    Returns:
        In the order of ``pyproject.toml``; nothing, if neither the installed package nor a checkout
        says what it needs.
    """
    found = []
    for line in _declared():
        text, _, marker = line.partition(";")
        if not _holds(marker, extra) or (extra and _holds(marker, "")):
            continue
        name = re.match(r"[\w.-]+", text.strip())
        bound = re.search(r">=\s*([\w.]+)", text)
        if name is not None:
            found.append(Requirement(name[0], bound[1] if bound else ""))
    return tuple(found)


def how_to_install(wanted: Iterable[Requirement], *, exactly: bool = False) -> str:
    """The command that installs packages into this Python, or what to do where none can.

    Args:
        wanted: What to install.
        exactly: The versions that are the bounds, instead of these or newer ones. All of them are
            known to work together.
    """
    words = [f"{r.name}=={r.bound}" if exactly and r.bound else str(r) for r in wanted]
    python = sys.executable or "python3"
    is_environment = sys.prefix != sys.base_prefix
    managed = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if not is_environment and os.path.exists(managed):
        return _in_an_environment(python, words)
    if find_spec("pip"):
        return shlex.join([python, "-m", "pip", "install", *words])
    if shutil.which("uv") or not find_spec("ensurepip"):
        return shlex.join(["uv", "pip", "install", "--python", python, *words])
    install = shlex.join([python, "-m", "pip", "install", *words])
    return f"{shlex.join([python, '-m', 'ensurepip'])} && {install}"


def remedy(extra: str = "") -> str:
    """The command for what an extra lacks, or for versions that fit if all of it is here."""
    wanted = requirements(extra)
    lacking = [requirement for requirement in wanted if not requirement.met]
    if lacking:
        return how_to_install(lacking)
    known = how_to_install(wanted, exactly=True)
    return f"if a package is to blame, these versions are known to serve: {known}"


def _in_an_environment(python: str, words: list[str]) -> str:
    """What to do with a Python into which its owner, the system, lets nobody install."""
    source = _checkout() or _installed_from()
    words = [*([source] if source else []), *words]
    if find_spec("ensurepip") is None and shutil.which("uv"):
        make = shlex.join(["uv", "venv", "--python", python, ".venv"])
        install = shlex.join(["uv", "pip", "install", "--python", ".venv/bin/python", *words])
    else:
        make = shlex.join([python, "-m", "venv", ".venv"])
        install = shlex.join([".venv/bin/python", "-m", "pip", "install", *words])
        if find_spec("ensurepip") is None:
            make = f"apt-get install python3-venv && {make}"
    return f"{make} && {install}, then start .venv/bin/python: {python} belongs to the system"


# -- what is declared ---------------------------------------------------------------------------


def _declared() -> list[str]:
    """The requirements of the package and of all its extras, as the metadata of packages has them."""
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        checkout = _checkout()
    if checkout is None:
        return []
    import tomllib

    with open(os.path.join(checkout, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    lines: list[str] = list(project["dependencies"])
    for extra, wanted in project["optional-dependencies"].items():
        for line in wanted:
            text, _, marker = line.partition(";")
            also = f"({marker.strip()}) and " if marker else ""
            lines.append(f"{text}; {also}extra == {extra!r}")
    return lines


def _holds(marker: str, extra: str) -> bool:
    """Whether a marker holds here. It is taken for Python, and knows what ``pyproject.toml`` uses."""
    values = {"python_version": sys.version_info[:2], "extra": extra}
    return not marker.strip() or bool(
        _evaluate(ast.parse(marker.strip(), mode="eval").body, values)
    )


def _evaluate(node: ast.expr, values: dict[str, Any]) -> bool:
    if isinstance(node, ast.BoolOp):
        parts = [_evaluate(part, values) for part in node.values]
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    match node:
        case ast.Compare(ast.Name(name), [comparison], [ast.Constant(str(text))]) if name in values:
            value = _numbers(text) if name == "python_version" else text
            return bool(_COMPARISONS[type(comparison)](values[name], value))
    raise AssertionError(f"unknown in a marker: {ast.unparse(node)}")


def _numbers(version: str) -> tuple[int, ...]:
    """A version to compare: its release, so that 1.2.0 and 1.2rc1 are both 1.2."""
    match = re.match(r"\d+(\.\d+)*?(?=(\.0+)*($|[^\d.]|\.\D))", version)
    return tuple(int(number) for number in match[0].split(".")) if match else ()


def _checkout() -> str | None:
    """The project's directory, if the package is used where it was written."""
    directory = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return directory if os.path.isfile(os.path.join(directory, "pyproject.toml")) else None


def _installed_from() -> str | None:
    """The directory, file or repository that an installer took the package from, if it said so."""
    try:
        text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    if text is None:
        return None
    import json
    from urllib.parse import unquote

    said = json.loads(text)
    url: str = said["url"]
    if "vcs_info" in said:
        return f"{said['vcs_info']['vcs']}+{url}"
    return unquote(url.removeprefix("file://")) if url.startswith("file://") else url

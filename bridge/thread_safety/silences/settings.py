"""``[tool.bridge.check]`` of a ``pyproject.toml``: what is right without a lock, and how strict to be.

[tool.bridge.check]
strict = true

[[tool.bridge.check.unguarded]]
variable = "Scores.latest"
because = "only the last value counts"
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...errors import AdapterError

_KEYS = ("strict", "unguarded")
_ROW = ("variable", "because")


class Unguarded:
    """A row: a pattern for names of variables, and why they are right."""

    __slots__ = ("because", "used", "variable")

    def __init__(self, variable: str, because: str) -> None:
        self.variable = variable
        self.because = because
        self.used = False


class CheckSettings:
    """What a project says of its checks.

    Args:
        path: the file that says so; None: there is none.
        strict: notes fail the check.
        unguarded: its rows.
    """

    def __init__(
        self,
        path: Path | None = None,
        strict: bool = False,
        unguarded: tuple[Unguarded, ...] = (),
    ) -> None:
        self.path = path
        self.strict = strict
        self.unguarded = unguarded


def find_settings(directory: str | os.PathLike[str]) -> CheckSettings:
    """The settings of the nearest ``pyproject.toml`` that has some, from a directory upwards.

    Raises:
        AdapterError: it has a table ``tool.bridge.check`` that says what cannot be meant.
    """
    folder = Path(directory).resolve()
    for each in (folder, *folder.parents):
        path = each / "pyproject.toml"
        if path.is_file():
            table = _table(path)
            if table is not None:
                return _settings(path, table)
    return CheckSettings()


def _table(path: Path) -> Any:
    import tomllib

    try:
        content: Any = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:  # decoding errors are of both kinds
        if b"tool.bridge" not in _bytes(path):
            return None  # not ours to complain of
        raise AdapterError(f"{path} cannot be read: {error}") from None
    for name in ("tool", "bridge", "check"):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _settings(path: Path, table: Any) -> CheckSettings:
    if not isinstance(table, dict):
        raise AdapterError(f"{path}: tool.bridge.check is to be a table")
    where = f"{path}: [tool.bridge.check]"
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise AdapterError(f"{where} has no {unknown[0]}; it has {', '.join(_KEYS)}")
    strict = table.get("strict", False)
    if not isinstance(strict, bool):
        raise AdapterError(f"{where} strict is to be true or false, not {strict!r}")
    rows = table.get("unguarded", [])
    if not isinstance(rows, list):
        raise AdapterError(f"{where} unguarded is to be a list of tables: {_example()}")
    return CheckSettings(path, strict, tuple(_row(where, row) for row in rows))


def _row(where: str, row: Any) -> Unguarded:
    texts = isinstance(row, dict) and all(isinstance(row.get(name), str) for name in _ROW)
    if not texts or set(row) != set(_ROW) or not all(row[name].strip() for name in _ROW):
        raise AdapterError(f"{where} unguarded needs a variable and a reason: {_example()}")
    return Unguarded(row["variable"], row["because"])


def _example() -> str:
    return '{variable = "Adapter.name", because = "why it is right"}'

"""A Dockerfile, read: its stages and their instructions."""

from __future__ import annotations

import fnmatch
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

#: What is understood. Anything else is an error rather than left out.
_KNOWN = {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "CMD"}


@dataclass(frozen=True)
class Step:
    """One instruction. ``text``: all behind its name, with continued lines put together."""

    name: str
    text: str

    def words(self) -> list[str]:
        """The text as words of a shell; a list in JSON as what is in it."""
        if self.text.startswith("["):
            return [str(word) for word in json.loads(self.text)]
        return shlex.split(self.text)

    def __str__(self) -> str:
        return f"{self.name} {self.text}"


@dataclass
class Stage:
    """What begins with ``FROM``. ``image``: what it starts with; ``name``: behind ``AS``, or ""."""

    image: str
    name: str
    steps: list[Step] = field(default_factory=list)


def read(path: Path) -> list[Stage]:
    """The stages of a file. Raises ``ValueError`` for an instruction that is not known here."""
    stages: list[Stage] = []
    text = path.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, rest = line.strip().partition(" ")
        step = Step(name.upper(), rest.strip())
        if step.name not in _KNOWN:
            raise ValueError(f"{path}: {step.name} is not known here")
        if step.name == "FROM":
            image, *more = step.words()
            stages.append(Stage(image, more[1] if more else ""))
        elif not stages:
            raise ValueError(f"{path}: {step.name} stands before any FROM")
        else:
            stages[-1].steps.append(step)
    return stages


def ignored(patterns: list[str], path: PurePosixPath) -> bool:
    """Whether ``.dockerignore`` leaves a file out, or a directory above it."""
    names = [str(each) for each in (path, *path.parents) if str(each) != "."]
    return any(
        fnmatch.fnmatch(name, pattern)
        or (pattern.startswith("**/") and fnmatch.fnmatch(PurePosixPath(name).name, pattern[3:]))
        for pattern in patterns
        for name in names
    )

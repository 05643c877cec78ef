"""Builds an image: runs the instructions of each stage in a root of its own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from . import roots
from .steps import Stage, Step, ignored

_PREFIX = "debian:"
_SUFFIX = "-slim"


@dataclass
class Image:
    """A root, and how a program starts in it."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = "root"
    cmd: list[str] = field(default_factory=list)


class Builder:
    """Builds stages below a directory, in which what was made before is used again.

    Args:
        home: Where all roots are.
        context: The directory that is built.
        contexts: Others, by the names that ``COPY --from=`` knows them by.
    """

    def __init__(self, home: Path, context: Path, contexts: dict[str, Path]) -> None:
        self._home = home
        self._context = context
        self._contexts = contexts
        self._images: dict[str, Image] = {}
        self._settings, self._mounted = roots.seen_from_inside(roots.package_settings())

    def build(self, stages: list[Stage]) -> Image:
        """All stages. Returns the last one's image. Raises ``Failed``."""
        image = None
        for number, stage in enumerate(stages):
            image = self._stage(stage, str(number))
            self._images[stage.name or str(number)] = image
        assert image is not None
        return image

    def _stage(self, stage: Stage, name: str) -> Image:
        if not stage.image.startswith(_PREFIX):
            raise roots.Failed(f"FROM {stage.image}: only {_PREFIX}* is known here")
        release = stage.image.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        layer = self._home / f"debian-{release}"
        if not layer.exists():
            roots.say(f"FROM {stage.image}")
            roots.debian(layer, release)
        steps = list(stage.steps)
        # what comes before anything is copied is the same each time
        key = stage.image
        while steps and steps[0].name == "RUN":
            key += f"\n{steps[0]}"
            following = self._home / f"layer-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
            if not following.exists():
                scratch = following.with_name(following.name + "-scratch")
                roots.remove(scratch)
                roots.copy(layer, scratch)
                self._run(Image(scratch), steps[0])
                scratch.rename(following)
            layer = following
            steps.pop(0)
        image = Image(self._home / f"stage-{name}")
        roots.remove(image.root)
        roots.copy(layer, image.root)
        for step in steps:
            self._do(image, step)
        return image

    def _do(self, image: Image, step: Step) -> None:
        if step.name == "RUN":
            self._run(image, step)
        elif step.name == "COPY":
            roots.say(str(step))
            self._copy(image, step.words())
        elif step.name == "ENV":
            image.env |= dict(word.split("=", 1) for word in step.words())
        elif step.name == "WORKDIR":
            image.directory = str(PurePosixPath(image.directory, step.text))
            (image.root / image.directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.name == "USER":
            image.user = step.text
        elif step.name == "CMD":
            image.cmd = step.words()

    def _run(self, image: Image, step: Step) -> None:
        roots.say(str(step))
        roots.network(image.root)
        command = roots.command(
            image.root,
            ["/bin/sh", "-c", step.text],
            env=self._settings | {"DEBIAN_FRONTEND": "noninteractive"} | image.env,
            user=image.user,
            directory=image.directory,
            mounted=self._mounted,
        )
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            said = done.stdout.decode(errors="replace")[-4000:]
            raise roots.Failed(f"{step}\nended with {done.returncode}:\n{said}")

    def _copy(self, image: Image, words: list[str]) -> None:
        options = [word for word in words if word.startswith("--")]
        source, target = (word for word in words if not word.startswith("--"))
        to = image.root / str(PurePosixPath(image.directory, target)).lstrip("/")
        origin = next((o.removeprefix("--from=") for o in options if o.startswith("--from=")), None)
        if origin in self._images:
            where = self._images[origin].root / source.lstrip("/")
            shutil.copytree(where, to, symlinks=True, dirs_exist_ok=True)
        else:
            where = self._context if origin is None else self._contexts[origin]
            _copy_context(where / source, to)


def _copy_context(source: Path, target: Path) -> None:
    """Copy a context, but for what its ``.dockerignore`` names."""
    file = source / ".dockerignore"
    patterns = file.read_text().split() if file.exists() else []

    def leave_out(directory: str, names: list[str]) -> set[str]:
        here = Path(directory).relative_to(source)
        return {n for n in names if ignored(patterns, PurePosixPath(here.as_posix(), n))}

    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=leave_out)

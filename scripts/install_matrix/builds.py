"""What is installed: the package, built as for a release, and a broken release of something else."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

from .uv import uv

_IGNORED = (".git", ".venv", ".*_cache", ".coverage", ".hypothesis", "build", "dist", "_build", "deps", "*.egg-info", "__pycache__")  # fmt: skip
#: Its newest version, whatever there is on the index.
PLANTED = ("grpcio-health-checking", "9999.0")
#: What broke the real release 1.85: a method more than the bridge knew of.
_PLANTED_CODE = 'raise AttributeError("planted: this release does not work")\n'


def build(root: Path, folder: Path) -> Path:
    """Build an sdist of the tree at ``root``, and a wheel from it. Returns the wheel.

    Raises ``SystemExit`` if the wheel lacks a file of the package.
    """
    tree = folder / "tree"
    shutil.copytree(root, tree, ignore=shutil.ignore_patterns(*_IGNORED))
    out = folder / "dist"
    uv("build", "--quiet", "--python", sys.executable, "--out-dir", out, tree)
    (wheel,) = out.glob("*.whl")
    wanted = {
        path.relative_to(tree).as_posix() for path in (tree / "bridge").rglob("*") if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        missing = sorted(wanted - set(archive.namelist()))
    if missing:
        raise SystemExit(f"the wheel lacks {', '.join(missing)}")
    return wheel


def plant(folder: Path) -> Path:
    """Make a release that cannot be imported. Returns the folder to find it in."""
    folder.mkdir()
    name, version = PLANTED
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = {
        "grpc_health/__init__.py": "",
        "grpc_health/v1/__init__.py": _PLANTED_CODE,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: plant\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return folder

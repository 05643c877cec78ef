"""Where ErlPort comes from. Nothing of it is part of this repository.

ErlPort has two halves. Its Python half is a program that reads Erlang terms from a port and calls
functions one at a time; PyPI has it as ``emqx-erlport`` (PyPI's own ``erlport`` is a release of 2010
for Python 2; Debian has no package of it). Its Erlang half, ``python:call/4``, comes only with its
repository: with ``--erlport PATH`` it is compiled, and measured as its users use it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

_PACKAGE, _VERSION = "emqx-erlport", "1.1.1.1"
_DOWNLOAD_S = 90.0
HOW = (
    "`pip download emqx-erlport` must work, or: "
    "git clone https://github.com/erlport/erlport && scripts/bench --erlport ./erlport"
)


@dataclass(frozen=True)
class ErlPort:
    """A usable ErlPort.

    ``directory`` holds the Python package ``package``. ``code_path``: its compiled Erlang half,
    None if there is none. ``origin``: where it is from, for people.
    """

    directory: Path
    package: str
    origin: str
    code_path: Path | None = None


def find(path: Path | None, cache: Path, *, download: bool = True) -> ErlPort | str:
    """ErlPort from a checkout, or from PyPI; text that says why not.

    ``cache``: where it is kept, and its Erlang half compiled. ``download``: may PyPI be asked?
    """
    if path is not None:
        return _from_checkout(path.resolve(), cache)
    return _from_pypi(cache, download)


def _from_checkout(path: Path, cache: Path) -> ErlPort | str:
    python = path / "priv" / "python3"
    if not (python / "erlport").is_dir():
        return f"{path} is no checkout of ErlPort: there is no priv/python3/erlport in it"
    origin = f"a checkout, {path.name}"
    sources = sorted((path / "src").glob("*.erl"))
    if (path / "ebin" / "python.beam").exists():
        return ErlPort(python, "erlport", origin, path / "ebin")
    if not (sources and shutil.which("erlc")):
        return ErlPort(python, "erlport", origin)
    # Erlang finds the Python half beside the compiled one, in a directory of this name
    home = cache / "erlport"
    ebin = home / "ebin"
    ebin.mkdir(parents=True, exist_ok=True)
    (home / "priv").unlink(missing_ok=True)
    (home / "priv").symlink_to(path / "priv")
    command = ["erlc", "-I", str(path / "include"), "-o", str(ebin), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return f"erlc cannot compile {path / 'src'}: {(done.stdout + done.stderr).strip()[:300]}"
    return ErlPort(python, "erlport", origin, ebin)


def _from_pypi(cache: Path, download: bool) -> ErlPort | str:
    home = cache / f"{_PACKAGE}-{_VERSION}"
    if not home.is_dir():
        if not download:
            return "not downloaded yet"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--no-binary", ":all:", "--dest", str(cache)]
        try:
            done = subprocess.run(
                [*command, f"{_PACKAGE}=={_VERSION}"],
                capture_output=True,
                text=True,
                timeout=_DOWNLOAD_S,
            )
            archive = next(cache.glob("emqx[-_]erlport-*.tar.gz"), None)
            if done.returncode or archive is None:
                return (done.stderr.strip().splitlines() or ["pip found nothing"])[-1]
            with tarfile.open(archive) as tar:
                tar.extractall(cache, filter="data")
            archive.unlink()
        except (OSError, subprocess.TimeoutExpired, tarfile.TarError) as error:
            return str(error)
    return ErlPort(
        home / "src", "emqx.erlport", f"{_PACKAGE} {_VERSION} from PyPI, its Python half"
    )

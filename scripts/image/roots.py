"""Root directories: Debian by debootstrap, copies of it, and programs in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Says that a directory was made here, and may be removed.
MARK = "etc/made-by-test-dockerfile"
#: What Debian's slim images leave out.
_SLIM = ("doc", "info", "linda", "lintian", "locale", "man")
#: Where files of this machine are seen from inside.
HERE = "/run/here"
#: Mounts what Docker mounts, beside a root that may be read-only ("ro"), and runs the rest. In a
#: namespace of mounts and one of processes, whose first process becomes what is run.
_ENTER = """
set -eu
root=$1 access=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t proc proc "$root/proc"
for place in $MOUNTED; do mount --bind -o ro "$place" "$root$HERE$place"; done
[ "$access" = rw ] || mount -o remount,bind,ro "$root"
unset MOUNTED HERE
exec "$@"
"""


class Failed(Exception):
    """A step did not do what it should."""


def say(text: str) -> None:
    """A heading, on stderr."""
    print(f"\033[1m== {text}\033[0m", file=sys.stderr, flush=True)


def debian(root: Path, release: str) -> None:
    """Make a slim Debian in a new directory. Raises ``Failed``."""
    unfinished = root.with_name(root.name + ".unfinished")
    remove(unfinished)
    (unfinished / "etc").mkdir(parents=True)
    (unfinished / MARK).touch()
    command = ["debootstrap", "--variant=minbase", "--force-check-gpg", f"--keyring={KEYRING}"]
    _must([*command, release, str(unfinished), *_mirror()])
    for name in _SLIM:
        shutil.rmtree(unfinished / "usr/share" / name, ignore_errors=True)
    (unfinished / MARK).touch()
    unfinished.rename(root)


def _mirror() -> list[str]:
    """The mirror of Debian that apt uses here; none: debootstrap knows one."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Label: Debian"],
        capture_output=True,
        text=True,
    )
    return done.stdout.split()[:1]


def copy(source: Path, target: Path) -> None:
    """Copy a root, into a new directory."""
    unfinished = target.with_name(target.name + ".unfinished")
    remove(unfinished)
    _must(["cp", "--archive", "--reflink=auto", str(source), str(unfinished)])
    unfinished.rename(target)


def remove(root: Path) -> None:
    """Remove a root that was made here. Raises ``Failed`` for any other directory."""
    if not root.exists():
        return
    if not (root / MARK).exists():
        raise Failed(f"{root} is there already, and was not made by this script")
    _must(["rm", "--recursive", "--force", "--one-file-system", str(root)])


def network(root: Path) -> None:
    """The files that Docker puts into a container, for names of machines."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    (root / "etc/hostname").write_text("container\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.0.1 container\n")


def command(
    root: Path,
    arguments: Sequence[str],
    *,
    env: dict[str, str],
    user: str = "root",
    directory: str = "/",
    writable: bool = True,
    mounted: Sequence[str] = (),
    network: bool = True,
) -> list[str]:
    """What runs a program in a root as the first process of a container, and what that needs.

    Args:
        root: Where.
        arguments: The program, looked for in the ``PATH`` of ``env``, and its arguments.
        env: All of its environment.
        user: Whose it is: a name that ``/etc/passwd`` of the root has.
        directory: Where it starts.
        writable: False: the file system is read-only.
        mounted: Paths of this machine that are there too, below ``HERE``, read-only; for building.
        network: False: there is a network of its own, in which nobody else is.
    """
    for place in mounted:
        target = Path(f"{root}{HERE}{place}")
        if Path(place).is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    line = next(
        line.split(":")
        for line in (root / "etc/passwd").read_text().splitlines()
        if line.startswith(f"{user}:")
    )
    path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": line[5]}
    variables = [f"{name}={value}" for name, value in {**path, **env}.items()]
    enter = [
        "env",
        f"MOUNTED={' '.join(mounted)}",
        f"HERE={HERE}",
        "sh",
        "-c",
        _ENTER,
        "enter",
        str(root),
    ]
    chroot = ["chroot", f"--userspec={line[2]}:{line[3]}", "--groups=", str(root)]
    inside = ["env", "-i", "-C", directory, *variables, *arguments]
    unshare = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child"]
    name = ["sh", "-c", 'echo container > /proc/sys/kernel/hostname; exec "$@"', "named"]
    if not network:
        unshare.insert(1, "--net")
        name[2] = "ip link set lo up; " + name[2]
    return [*unshare, *name, *enter, "rw" if writable else "ro", *chroot, *inside]


def package_settings() -> dict[str, str]:
    """What leads pip to the packages here; settings in files as variables."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    )
    found = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section in ("global", "install"):
            words = value.strip("'").replace("\\n", " ")
            found[f"PIP_{key.upper().replace('-', '_')}"] = words
    wanted = ("PIP_", "SSL_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return found | {n: v for n, v in os.environ.items() if n.upper().startswith(wanted)}


def seen_from_inside(settings: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Such settings with the paths that a root has, and what is to be mounted for them."""
    places: list[str] = []

    def change(word: str) -> str:
        path = Path(word.removeprefix("file://"))
        if not path.is_absolute() or not path.exists():
            return word
        # an index refers to files beside it
        place = str(path.parent if word.startswith("file://") else path)
        if place not in places:
            places.append(place)
        return word.replace(str(path), f"{HERE}{path}")

    changed = {n: " ".join(change(w) for w in v.split(" ")) for n, v in settings.items()}
    return changed, places


def _must(arguments: Sequence[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise Failed(f"{arguments[0]} ended with {done.returncode}:\n{said}")

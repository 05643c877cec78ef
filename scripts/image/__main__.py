"""``scripts/test-dockerfile``: what it says of itself is its ``--help``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import roots, steps
from .build import Builder, Image
from .container import Container, send, wait_for

ROOT = Path(__file__).parents[2]
DESCRIPTION = """\
Build the Dockerfile that `mix bridge.new` writes, and run its image, on a machine without Docker.

Each instruction is carried out in a root directory that debootstrap has made, with chroot, in
namespaces of its own: FROM, RUN, COPY, ENV, WORKDIR, USER, CMD. The image then runs as a container does:
read-only, as its user, with and without an init as the first process. It must answer,
replace a Python that hangs, and end when it is stopped.

Needs root, Debian or Ubuntu, debootstrap, Elixir, and five minutes; the second time one. It is not a part
of CI.
"""
_CALL = "IO.inspect(Shop.mean([1, 2, 6]))"


def main() -> int:
    """Returns 0 if everything did what it should."""
    parser = argparse.ArgumentParser(
        prog="scripts/test-dockerfile",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bridge-dockerfile"
    parser.add_argument("directory", nargs="?", type=Path, default=cache, help="for the roots")
    parser.add_argument("--fresh", action="store_true", help="make all roots anew")
    options = parser.parse_args()
    lacks = [
        p for p in ("debootstrap", "unshare", "nsenter", "ip", "mix") if shutil.which(p) is None
    ]
    if os.getuid() != 0 or lacks or not roots.KEYRING.exists():
        what = ", ".join(lacks) or (
            "its keys: debian-archive-keyring" if not os.getuid() else "root"
        )
        print(f"test-dockerfile: this needs {what}", file=sys.stderr)
        return 2
    options.directory.mkdir(parents=True, exist_ok=True)
    try:
        if options.fresh:
            for root in options.directory.iterdir():
                roots.remove(root)
        with tempfile.TemporaryDirectory() as directory:
            image = _build(options.directory, Path(directory))
            for init in (True, False):
                _try(image, init=init)
    except roots.Failed as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print("all well")
    return 0


def _build(home: Path, directory: Path) -> Image:
    """The image of a new application."""
    shop, both = directory / "shop", directory / "bridge"
    # as somebody has it who has cloned it, with what is not committed yet
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).exists():
            (both / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, both / name)
    roots.say("mix bridge.new shop")
    subprocess.run(
        ["mix", "bridge.new", str(shop), "--bridge", str(both)],
        cwd=ROOT / "elixir_fixture",
        check=True,
        stdout=subprocess.DEVNULL,
    )
    stages = steps.read(shop / "Dockerfile")
    return Builder(home, shop, {"bridge": both}).build(stages)


def _try(image: Image, *, init: bool) -> None:
    """Run the image, and see that it does what docs/deploy.md says."""
    roots.say(f"docker run --read-only{' --init' * init}, as {image.user}")
    began = time.monotonic()
    with Container(image, init=init) as container:

        def check(what: str, holds: Callable[[], object]) -> None:
            try:
                wait_for(holds, what)
            except roots.Failed as error:
                facts = f"not collected: {container.zombies()}\n{container.log()}"
                raise roots.Failed(f"{error}\n{facts}") from None
            print(f"  {what} ({time.monotonic() - began:.1f} s)", flush=True)

        def answers() -> bool:
            status, said = container.execute("/shop/bin/shop", "rpc", _CALL)
            return status == 0 and "{:ok, 3.0}" in said

        for program in ("kill", "ps"):
            status, _ = container.execute(
                "sh", "-c", f"test -x /bin/{program} -o -x /usr/bin/{program}"
            )
            if status == 0:
                raise roots.Failed(f"there is a program {program} in the image")
        status, _ = container.execute("sh", "-c", "echo > /shop/here")
        if status == 0:
            raise roots.Failed("the file system can be written")
        check("it answers", answers)
        (python,) = _bridges(container)
        send(signal.SIGKILL, python)
        check(
            "a Python that is killed is replaced", lambda: _bridges(container) not in ([], [python])
        )
        check("and answers", answers)
        (python,) = _bridges(container)
        send(signal.SIGSTOP, python)
        container.execute("/shop/bin/shop", "rpc", "Bridge.restart(Shop.Python)")
        check(
            "a Python that hangs is ended without a kill program, and replaced",
            lambda: python not in _bridges(container) and answers(),
        )
        if init:
            check("who has ended is collected", lambda: not container.zombies())
        else:
            print(f"  processes that nobody collects: {len(container.zombies())}")
        status = container.stop()
        log = container.log()
        print(f"  docker stop: status {status} ({time.monotonic() - began:.1f} s)")
        if status != 0 or "crash" in log.lower() or "Traceback" in log:
            raise roots.Failed(f"ended with {status}, and said:\n{log}")


def _bridges(container: Container) -> list[int]:
    """The Python processes that serve: those with the option, whose parent is not another one."""
    return container.processes("-m bridge --adapter")[-1:]


if __name__ == "__main__":
    sys.exit(main())

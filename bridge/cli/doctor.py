"""``bridge doctor``: try every transport, and show what this interpreter has and what is missing."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess

from .. import __version__
from ..gil import describe_python, is_free_threaded
from ..loading import build, resolve
from ..process.adapter_life import build_adapter, close, make_pool, set_up
from ..process.engine import engine_of
from ..process.settings import MEMORY_BYTES, default_workers
from ..requirements import how_to_install, remedy, requirements
from .command import CLEAN, FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engines import EngineSettings
    from ..requirements import Requirement

SUMMARY = "Try every transport; show what is missing, and the command that mends it here."
#: What the extras are for, and the package that is shown even where it is missing.
_USES = {
    "": ("everything", "msgpack"),
    "numpy": ("tensors", "numpy"),
    "grpc": ("--transport grpc and Snakepit", "grpcio"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge doctor`` takes to its ``parser``."""
    parser.add_argument("adapter", nargs="?", help="an adapter to load and set up as well")


def run(options: argparse.Namespace) -> int:
    """Run the command. Returns its exit code: 1 if something that is needed is missing."""
    python = describe_python()
    gil = "GIL on" if python["gil"] else "GIL off"
    kind = "free-threaded build" if is_free_threaded() else "ordinary build"
    _show("bridge", __version__)
    _show("python", f"{python['version']} ({python['implementation']}, {kind}, {gil}) {python['executable']}")  # fmt: skip
    # without what everything needs, nothing can be started
    healthy = _show_packages() and _show_transports()
    _show("shared memory", _shared_memory())
    _show("elixir", _elixir())
    _show("workers", f"{default_workers()} by default ({os.cpu_count()} cores)")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _show(name, _descriptor(number))
    if options.adapter:
        target = resolve(options.adapter, options.app_dir)
        pool = make_pool(1, 0)
        adapter = build_adapter(pool, build, options.adapter, target)
        set_up(pool, adapter)
        close(pool, adapter, idle=True)
        engine = engine_of(adapter)
        needs = "one call at a time" if engine and engine.replicas else "needs --max-workers 1"
        safe = "declares itself thread-safe" if adapter.thread_safe else needs
        _show("adapter", f"{adapter.name}: {len(adapter.tools)} tools, {safe}")
        healthy = _show_engine(engine) and healthy
    return CLEAN if healthy else FAILED


def _show_engine(engine: EngineSettings | None) -> bool:
    """Print where the tools of an adapter run, if not here. Returns whether they can."""
    if engine is None:
        return True
    where = f"{engine!r}" if engine.replicas else f"{engine.name}, for the tools that say so"
    lacking = _lacking("ray") if engine.name == "ray" else []
    _show("engine", f"{where}: {_way_to(lacking)}" if lacking else where)
    if engine.name == "ray" and not lacking:
        for requirement in requirements("ray"):
            _show(requirement.name, _version(requirement))
        address = getattr(engine, "address", None) or os.environ.get("RAY_ADDRESS")
        _show("", f"the cluster: {address or 'that of this machine; RAY_ADDRESS names another'}")
    return not lacking


def _show(name: str, text: str) -> None:
    print(f"{name:<23} {text}")


def _show_packages() -> bool:
    """Print what each extra needs. Returns whether what everything needs is here."""
    healthy = True
    for extra, (use, main) in _USES.items():
        for requirement in requirements(extra):
            if requirement.installed or requirement.name == main:
                _show(requirement.name, _version(requirement))
        lacking = _lacking(extra)
        if lacking:
            _show("", f"for {use}: {_way_to(lacking)}")
            healthy = healthy and extra != ""
    return healthy


def _version(requirement: Requirement) -> str:
    installed = requirement.installed
    if installed is None:
        return "not installed"
    return installed if requirement.met else f"{installed}, too old: {requirement} is needed"


def _way_to(lacking: list[Requirement]) -> str:
    """How to get what is lacking."""
    if is_free_threaded() and any(requirement.name == "grpcio" for requirement in lacking):
        return "grpcio has no packages for free-threaded Python"
    return how_to_install(lacking)


def _lacking(extra: str) -> list[Requirement]:
    return [requirement for requirement in requirements(extra) if not requirement.met]


def _show_transports() -> bool:
    """Try the transports whose packages are here. Returns whether each of them serves."""
    from ..trial import BOTH, GRPC, SNAKEPIT, STDIO, try_all

    has_grpc = all(requirement.installed for requirement in requirements("grpc"))
    trials = try_all((STDIO, GRPC, BOTH, SNAKEPIT) if has_grpc else (STDIO,))
    for trial in trials:
        outcome = f"FAILS: {trial.fault}" if trial.fault else f"serves, {trial.seconds:.1f} s"
        _show(trial.transport, outcome)
    faulty = [trial for trial in trials if trial.fault]
    if faulty and not trials[0].fault:
        print(f"To mend it: {remedy('grpc')}")
    return not faulty


def _shared_memory() -> str:
    from ..shared_memory import free_memory, why_unavailable

    reason = why_unavailable()
    if reason is not None:
        return f"not available, large data goes through the pipe: {reason}"
    limit = MEMORY_BYTES >> 20
    free = free_memory() >> 20
    return f"available beside the pipe, up to {limit} MiB (--shared-memory); {free} MiB of memory are free"


def _elixir() -> str:
    path = shutil.which("elixir")
    if path is None:
        return "not found; on Debian and Ubuntu: apt-get install elixir, elsewhere https://elixir-lang.org/install.html"  # fmt: skip
    lines = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return f"{lines.strip().splitlines()[-1] if lines.strip() else 'does not start'} {path}"


def _descriptor(number: int) -> str:
    import stat

    try:
        mode = os.fstat(number).st_mode
    except OSError:
        return "closed"
    kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISREG, "file"))
    if os.isatty(number):
        return "terminal"
    return next((name for test, name in kinds if test(mode)), "device")

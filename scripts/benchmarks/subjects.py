"""Who is measured: programs that answer calls, and how to start them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .erlport import HOW, ErlPort

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
_DESCRIBE = """
import json, sys, sysconfig
try:
    import msgpack
except ImportError:
    msgpack = None
print(json.dumps({
    "version": sys.version.split()[0],
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "msgpack": msgpack and ".".join(map(str, msgpack.version)),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs subjects. ``label`` is empty for the one that is measured by default."""

    path: str
    version: str
    free_threaded: bool
    label: str = ""

    @classmethod
    def at(cls, path: str, *, default: bool = False) -> Interpreter:
        """The interpreter at a path. Raises ``ValueError`` if it cannot run the bridge."""
        try:
            done = subprocess.run(
                [path, "-c", _DESCRIBE], capture_output=True, text=True, timeout=30
            )
            facts = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"{path} is no usable Python: {error}") from None
        if facts["msgpack"] is None:
            raise ValueError(f"{path} has no msgpack: {path} -m pip install msgpack")
        short = ".".join(facts["version"].split(".")[:2]) + "t" * facts["free_threaded"]
        return cls(path, facts["version"], facts["free_threaded"], "" if default else short)


@dataclass(frozen=True)
class Subject:
    """One row of the tables.

    ``driver``: ``elixir`` or ``grpc``. ``dialect``: see ``elixir/peer.ex`` and ``client.ex``.
    ``missing``: why it is not here and how to get it; None if it is. ``single``: it answers one
    call at a time, whatever it is told. ``reference``: whom it is compared with.
    """

    name: str
    title: str
    driver: str
    dialect: str
    python: Interpreter | None = None
    arguments: tuple[str, ...] = ()
    script: str | None = None
    missing: str | None = None
    single: bool = False
    reference: str | None = "bare"
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def kind(self) -> str:
        """The name without the interpreter: what decides which workloads it takes."""
        return self.name.partition("@")[0]

    def command(self, workers: int = 16, adapter: str = "bench_tools:Tools") -> list[str]:
        """The program and its arguments."""
        assert self.python is not None
        if self.script is not None:
            return [self.python.path, str(PROGRAMS / self.script), *self.arguments]
        # Bench.Client knows this order
        command = [self.python.path, "-m", "bridge", "--adapter", adapter]
        command += ["--app-dir", str(PROGRAMS), "--max-workers", str(workers)]
        return [*command, "--grace", "0.3", *self.arguments]


def all_subjects(
    python: Interpreter, others: list[Interpreter], erlport: ErlPort | str
) -> dict[str, Subject]:
    """Every subject by its name, those that are missing included."""
    found = [*_subjects(python, erlport)]
    for other in others:
        found += _on_other(other)
    return {subject.name: subject for subject in found}


def _subjects(python: Interpreter, erlport: ErlPort | str) -> Iterator[Subject]:
    def subject(name: str, title: str, dialect: str = "msgpack", **more: Any) -> Subject:
        return Subject(name, title, more.pop("driver", "elixir"), dialect, python, **more)

    # it reaches the default limit of 64 MiB with the largest payload
    large = ("--max-message-bytes", str(128 << 20))
    no_grpc = None if has_grpc(python) else f"{python.path} -m pip install '.[grpc]'"
    listen = ("--transport", "grpc", "--port", "0", *large)
    yield subject("python", 'python -c "import msgpack"', reference=None)
    yield subject("bare", "bare loop", script="bare_loop.py", single=True, reference=None)
    yield subject(
        "bare-hog",
        "bare loop beside another process",
        script="bare_loop.py",
        arguments=("--beside-hog",),
        single=True,
        reference=None,
        options=(("slow", 0), ("hog_s", None)),
    )
    yield subject("threads", "bare threads", script="bare_threads.py", reference=None)
    yield _erlport(python, erlport)
    yield subject("bridge", "bridge", arguments=large)
    yield subject("no-inline", "bridge --no-inline", arguments=("--no-inline", *large))
    yield subject("bare-client", "bare client", "bare_client", arguments=large)
    yield subject("client", "Bridge.Client", "bridge_client", arguments=large)
    yield _erlport_client(python, erlport)
    yield subject(
        "bare-grpc",
        "bare grpcio",
        driver="grpc",
        script="bare_grpc.py",
        missing=no_grpc,
        reference=None,
    )
    yield subject(
        "grpc",
        "bridge, gRPC",
        driver="grpc",
        arguments=listen,
        missing=no_grpc,
        reference="bare-grpc",
    )


def _on_other(python: Interpreter) -> Iterator[Subject]:
    at = f"@{python.label}"
    bare = "bare" + at
    yield Subject(
        bare,
        f"bare loop, {python.label}",
        "elixir",
        "msgpack",
        python,
        script="bare_loop.py",
        single=True,
        reference=None,
    )
    yield Subject(
        f"threads{at}",
        f"bare threads, {python.label}",
        "elixir",
        "msgpack",
        python,
        script="bare_threads.py",
        reference=None,
    )
    for name, title, arguments in (
        ("bridge", "bridge", ()),
        ("no-inline", "bridge --no-inline", ("--no-inline",)),
    ):
        arguments = (*arguments, "--max-message-bytes", str(128 << 20))
        yield Subject(
            name + at,
            f"{title}, {python.label}",
            "elixir",
            "msgpack",
            python,
            arguments=arguments,
            reference=bare,
        )


def _erlport(python: Interpreter, erlport: ErlPort | str) -> Subject:
    if isinstance(erlport, str):
        return Subject("erlport", "ErlPort", "elixir", "erlport", missing=f"{erlport}; {HOW}")
    return Subject(
        "erlport",
        "ErlPort",
        "elixir",
        "erlport",
        python,
        script="start_erlport.py",
        arguments=(str(erlport.directory), erlport.package),
        single=True,
    )


def _erlport_client(python: Interpreter, erlport: ErlPort | str) -> Subject:
    missing, options = None, {}
    if isinstance(erlport, str) or erlport.code_path is None:
        missing = f"its Erlang half is not here; {HOW.rpartition('or: ')[2]}"
    else:
        options = {
            "code_paths": [str(erlport.code_path)],
            "python": python.path,
            "python_path": [str(PROGRAMS)],
        }
    return Subject(
        "erlport-client",
        "ErlPort, python:call",
        "elixir",
        "erlport_client",
        python,
        script="start_erlport.py",
        missing=missing,
        single=True,
        options=tuple(options.items()),
    )


def has_grpc(python: Interpreter) -> bool:
    """Can this interpreter serve gRPC?"""
    done = subprocess.run([python.path, "-c", "import grpc, grpc_health"], capture_output=True)
    return done.returncode == 0

"""The fixture ``bridge_adapter`` for pytest: a test starts adapters behind their real pipes.

It is installed with the package, so every run of pytest in the same environment loads this file.
Therefore nothing is imported here but what is there anyway; ``msgpack`` comes with the first use.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from .port_peer import PortPeer

#: What the end of a bridge may take beyond its grace, in seconds: machines are busy.
MARGIN_S = 10.0
#: The grace of bridges whose test names no other, in seconds.
GRACE_S = 5.0
_BRIDGES = pytest.StashKey["BridgeStarter"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("bridge", "adapters served by a real bridge").addoption(
        "--bridge-python",
        metavar="PATH",
        default=sys.executable,
        help="the interpreter that runs the bridges of the fixture bridge_adapter, where bridge is "
        "installed, too; default: the one that runs pytest",
    )


@pytest.fixture
def bridge_adapter(request: pytest.FixtureRequest) -> Iterator[BridgeStarter]:
    """Start a bridge: ``bridge_adapter("my_tools:Tools")`` returns a ``PortPeer`` to call it.

    All that a test starts are ended with it. The test gets an error, with their stderr, if one of
    them crashed, or does not end well.
    """
    python: str = request.config.getoption("--bridge-python") or sys.executable
    bridges = BridgeStarter(python, request.path.parent)
    request.node.stash[_BRIDGES] = bridges
    yield bridges
    wrong = bridges.end()
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


# the old kind of wrapper: older releases of pytest refuse to load a plugin with the new kind
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Show what the bridges of a failed test wrote to stderr."""
    outcome = yield
    report = outcome.get_result()
    bridges = item.stash.get(_BRIDGES, None)
    if bridges is not None and report.failed and report.when != "teardown":
        report.sections += bridges.get_sections()


class BridgeStarter:
    """What the fixture gives: starts bridges for one test, and ends them.

    Args:
        python: The interpreter that runs them.
        directory: Where their adapters are.
    """

    def __init__(self, python: str, directory: Path) -> None:
        self._python = python
        self._directory = directory
        self._started: list[tuple[str, float, PortPeer]] = []

    def __call__(
        self,
        adapter: str,
        *arguments: str,
        app_dir: str | Path | None = None,
        **options: Any,
    ) -> PortPeer:
        """Start a bridge that serves an adapter; returns when it is ready.

        Args:
            adapter: ``"module:Class"``, or whatever else ``--adapter`` takes.
            arguments: Further ones of the command line, such as ``"--max-workers", "4"``.
            app_dir: Where the module is; default: the directory of the test's file, where a
                relative path begins.
            options: Those of ``PortPeer``.

        Raises:
            TransportClosed: The adapter cannot be served.
            TimeoutError, FileNotFoundError: As ``PortPeer`` raises them.
        """
        from .port_peer import PortPeer

        where = str(self._directory / (app_dir or ""))
        grace_s = _find_grace_s(arguments)
        options.setdefault("python", self._python)
        own = ("--adapter", adapter, "--app-dir", where, "--grace", str(GRACE_S))
        peer = PortPeer(*own, *arguments, **options)
        self._started.append((adapter, grace_s, peer))
        return peer

    def end(self) -> list[str]:
        """End all bridges; returns what was wrong with those that did not end well.

        An exit status that the test itself caused by ``kill``, or asked for by ``wait``, is no
        news to it and left out.
        """
        wrong = []
        for adapter, grace_s, peer in self._started:
            early = peer.exit_status
            limit_s = grace_s + MARGIN_S
            status = peer.end(limit_s)
            if status == 0 or peer.end_expected:
                continue
            if early is not None:
                what = f"exited during the test, with {_name(status)}"
            elif status == -signal.SIGKILL:
                what = f"did not end within {limit_s:g} s (--grace {grace_s:g}) and was killed"
            else:
                what = f"ended with {_name(status)}"
            wrong.append(f"bridge {adapter} {what}; its stderr:\n{peer.stderr or '(nothing)'}")
        return wrong

    def get_sections(self) -> list[tuple[str, str]]:
        """Title and text of what each bridge has written to stderr, if anything."""
        written = [(f"stderr of bridge {name}", peer.stderr) for name, _, peer in self._started]
        return [(title, text) for title, text in written if text]


def _find_grace_s(arguments: tuple[str, ...]) -> float:
    """The grace that the command line gives the bridge, in seconds."""
    words = " ".join(arguments).replace("--grace=", "--grace ").split()
    return float(words[words.index("--grace") + 1]) if "--grace" in words else GRACE_S


def _name(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"

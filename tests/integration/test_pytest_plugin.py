"""The fixture ``bridge_adapter``, in runs of pytest of their own, with real bridges."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.waiting import PROGRAM_S

pytest_plugins = "pytester"

#: Where the package is installed without its entry point, the plugin is named.
NAMED = () if entry_points(group="pytest11", name="bridge") else ("bridge.testing.pytest_plugin",)
#: Hypothesis' own plugin takes longer than a bridge.
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
OPTIONS = ("-q", "-W", "error", *WITHOUT, *(f"-p{name}" for name in NAMED))
ADAPTER = """
    import os, signal
    from bridge import ThreadSafeAdapter, tool

    class Tools(ThreadSafeAdapter):
        @tool
        def add(self, a, b):
            return a + b

        @tool
        def say(self, text):
            print(text)

        @tool
        def crash(self, text):
            print(text, flush=True)
            os.abort()

        @tool
        def stop(self):
            # as a C library does that never gives the GIL back
            print("stopping", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)

        @tool
        def get_env(self, name):
            return os.environ.get(name)
"""


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory with an adapter, for a run of pytest."""
    pytester.makepyfile(tools=ADAPTER)
    return pytester


def test_bridges_are_started_called_and_ended(inner):
    inner.makepyfile("""
        import os
        import pytest
        started = []

        def test_two(bridge_adapter):
            first = bridge_adapter("tools:Tools")
            second = bridge_adapter("tools:Tools", "--max-workers", "2", nouse_stdio=True)
            started.extend([first, second])
            assert first.call("add", [1, 2]) == second.call("add", {"a": 1, "b": 2}) == 3
            assert second.ready["limits"]["max_workers"] == 2

        def test_they_have_ended():
            assert [peer.process.poll() for peer in started] == [0, 0]

        def test_without_a_bridge(bridge_adapter):
            pass
    """)
    inner.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=3)


def test_adapters_are_looked_for_beside_the_test(inner):
    inner.mkdir("other")
    inner.mkdir("tests").joinpath("near.py").write_text((inner.path / "tools.py").read_text())
    (inner.path / "tests" / "test_it.py").write_text(
        "def test_near(bridge_adapter):\n"
        '    assert bridge_adapter("near:Tools").call("add", [1, 2]) == 3\n'
        "def test_up(bridge_adapter):\n"
        '    assert bridge_adapter("tools:Tools", app_dir="..").call("add", [1, 2]) == 3\n'
        "def test_absolute(bridge_adapter, pytestconfig):\n"
        "    where = pytestconfig.rootpath\n"
        '    assert bridge_adapter("tools:Tools", app_dir=where).call("add", [1, 2]) == 3\n'
    )
    where = inner.path / "other"
    done = run_apart("../tests", f"--rootdir={inner.path}", cwd=where)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_a_failed_test_shows_what_the_bridges_printed(inner):
    inner.makepyfile("""
        import pytest

        @pytest.fixture
        def talker(bridge_adapter):
            peer = bridge_adapter("tools:Tools")
            peer.call("say", ["in the fixture"])
            return peer

        def test_call(talker, bridge_adapter):
            bridge_adapter("tools:Tools").call("say", ["in the test"])
            assert talker.call("add", [1, 2]) == 4

        @pytest.fixture
        def broken(talker):
            raise ValueError("broken fixture")

        def test_setup(broken):
            pass

        def test_passes(talker):
            talker.call("say", ["nobody reads this"])

        def test_cannot_be_served(bridge_adapter):
            bridge_adapter("missing:Tools")
    """)
    result = inner.runpytest_inprocess(*OPTIONS)
    result.assert_outcomes(failed=2, errors=1, passed=1)
    titles = [line for line in result.outlines if "stderr of bridge tools:Tools" in line]
    assert len(titles) == 3
    result.stdout.fnmatch_lines(
        ["*broken fixture*", "in the fixture", "*assert 3 == 4*", "in the fixture", "in the test"]
    )
    result.stdout.fnmatch_lines(["*there is no module 'missing'*"])
    result.stdout.no_fnmatch_line("*nobody reads*")


def test_a_crash_that_the_test_does_not_look_at_is_an_error(inner):
    inner.makepyfile("""
        from concurrent.futures import ThreadPoolExecutor
        import pytest
        from bridge.errors import TransportClosed

        def crash(peer):
            with pytest.raises(TransportClosed):
                peer.call("crash", ["a last word"])

        def test_unseen(bridge_adapter):
            crash(bridge_adapter("tools:Tools"))

        def test_asked_for(bridge_adapter):
            peer = bridge_adapter("tools:Tools")
            crash(peer)
            assert peer.wait() < 0

        def test_killed(bridge_adapter):
            bridge_adapter("tools:Tools").kill()

        def test_shut_down(bridge_adapter):
            bridge_adapter("tools:Tools").call("$/shutdown")
    """)
    result = inner.runpytest_inprocess(*OPTIONS)
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_unseen*", "*during the test, with SIGABRT*", "a last word"]
    )


def test_a_bridge_that_does_not_end_is_killed_and_an_error(inner):
    inner.makeconftest("""
        import bridge.testing.pytest_plugin
        bridge.testing.pytest_plugin.MARGIN_S = 0.2
    """)
    inner.makepyfile("""
        import subprocess, time
        started = []

        def test_it(bridge_adapter):
            for arguments in (["--grace=0.1"], []):
                started.append(bridge_adapter("tools:Tools", *arguments))
            started[0].request("stop")
            while "T" not in subprocess.check_output(
                ["ps", "-o", "stat=", "-p", str(started[0].process.pid)], text=True
            ):
                time.sleep(0.01)

        def test_they_have_ended():
            assert [peer.process.poll() for peer in started] == [-9, 0]
    """)
    done = run_apart(cwd=inner.path)
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "did not end within 0.3 s (--grace 0.1) and was killed" in done.stdout
    assert "its stderr:\nstopping" in done.stdout


def test_another_interpreter_can_run_the_bridges(inner):
    script = inner.path / "python_in_disguise"
    script.write_text(f'#!/bin/sh\nDISGUISED=yes exec {shlex.quote(sys.executable)} "$@"\n')
    script.chmod(0o755)
    inner.makepyfile("""
        import sys

        def test_it(bridge_adapter):
            assert bridge_adapter("tools:Tools").call("get_env", ["DISGUISED"]) == "yes"

        def test_one_test_may_choose_itself(bridge_adapter):
            peer = bridge_adapter("tools:Tools", python=sys.executable)
            assert peer.call("get_env", ["DISGUISED"]) is None
    """)
    result = inner.runpytest_inprocess(*OPTIONS, "--bridge-python", str(script))
    result.assert_outcomes(passed=2)
    inner.runpytest_inprocess(*OPTIONS, "--help").stdout.fnmatch_lines(["*--bridge-python=PATH*"])


def test_a_run_that_does_not_use_it_loads_nothing_heavy(inner):
    inner.makepyfile("""
        import sys

        def test_it():
            heavy = {"msgpack", "bridge.wire", "bridge.testing.port_peer", "hypothesis", "numpy"}
            assert "bridge.testing.pytest_plugin" in sys.modules
            assert not heavy & set(sys.modules)
    """)
    done = run_apart(cwd=inner.path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def run_apart(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process of its own."""
    command = [sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PROGRAM_S)

"""What holds for every test: it leaves no process behind, and tells where it hangs."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.processes import Processes, default_signals, has_failed, note_failure
from tests.stack_watch import StackWatch
from tests.tool_bench import end_benches

# How long an example takes is the machine's affair, which may be busy with others.
settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(StackWatch())


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking at all tests and modules again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.failed:
        note_failure(item)
    return report


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """There is a home directory, which mix and others want to have; users like nobody have none."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.access(os.environ.get("HOME", ""), os.W_OK):
            patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session", autouse=True)
def signals() -> Iterator[None]:
    """Signals are as for a program that is started in a terminal."""
    with default_signals():
        yield


@pytest.fixture(scope="session")
def processes() -> Processes:
    """The processes that may outlive the test which started them."""
    return Processes()


@pytest.fixture(autouse=True)
def leaves_no_process(processes: Processes, request: pytest.FixtureRequest) -> Iterator[None]:
    """End what the test has started and not ended, and say which test it was."""
    before = processes.children()
    yield
    end_benches()
    left = processes.end(processes.children() - before - processes.shared)
    if left and not has_failed(request.node):
        pytest.fail("left running: " + "; ".join(left), pytrace=False)

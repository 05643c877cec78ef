"""The settings of the process: what follows from what."""

from __future__ import annotations

import os

import pytest

from bridge.process.settings import Settings, ThreadSafetySettings, default_workers
from bridge.transports.grpc.settings import GrpcSettings


@pytest.mark.parametrize(
    ("transport", "descriptors", "grpc"),
    [(("stdio",), (3, 4), False), (("grpc",), None, True), (("grpc", "stdio"), (3, 4), True)],
)
def test_the_transports_decide_what_is_there(
    transport: tuple[str, ...], descriptors: tuple[int, int] | None, grpc: bool
) -> None:
    settings = Settings(adapter="x", transport=transport, fds=(3, 4), grpc=GrpcSettings(port=1))
    assert settings.descriptors == descriptors
    assert (settings.grpc is not None) is grpc
    assert settings.grpc is None or settings.grpc.port == 1


def test_grpc_has_its_defaults_where_nothing_is_said() -> None:
    settings = Settings(adapter="x", transport=("grpc",))
    assert settings.grpc is not None
    assert vars(settings.grpc) == vars(GrpcSettings())


def test_the_ready_file_is_that_of_grpc() -> None:
    grpc = GrpcSettings(ready_file="f")
    assert Settings(adapter="x", transport=("grpc",), grpc=grpc).ready_file == "f"
    assert Settings(adapter="x", grpc=grpc).ready_file is None


@pytest.mark.parametrize(("cores", "workers"), [(None, 16), (1, 16), (12, 16), (20, 24), (64, 32)])
def test_the_workers_follow_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, workers: int
) -> None:
    # those that this process may use; not every system tells
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores or 0)), raising=False)
    if cores is None:
        monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert default_workers() == Settings(adapter="x").max_workers == workers


def test_the_report_stays_where_it_is_when_a_tool_changes_the_directory(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ThreadSafetySettings(report="races.json")
    assert settings.wanted
    assert settings.report == os.path.join(tmp_path, "races.json")


def test_races_are_looked_for_when_any_option_says_so() -> None:
    assert not ThreadSafetySettings().wanted
    assert ThreadSafetySettings(check=True).wanted
    assert ThreadSafetySettings(strict=True).wanted

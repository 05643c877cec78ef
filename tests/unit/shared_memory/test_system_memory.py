"""What a container may still use, as its control groups say it: of both versions, and of those above."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.shared_memory import free_memory

MIB = 1 << 20


def machine(root: Path, groups: str, available: int = 1000) -> None:
    for folder in ("proc/self", "sys/fs/cgroup"):
        (root / folder).mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {available << 10} kB\n")
    (root / "proc/self/cgroup").write_text(groups)


def group(root: Path, path: str, limit: str, used: int, stat: str = "", version: int = 2) -> None:
    names = ("memory.max", "memory.current")
    if version == 1:
        names, path = ("memory.limit_in_bytes", "memory.usage_in_bytes"), f"memory/{path}"
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used * MIB}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{stat}")


def free(root: Path) -> int:
    return free_memory(f"{root}/") // MIB


def test_without_groups_it_is_what_the_system_says(tmp_path: Path) -> None:
    machine(tmp_path, "0::/nowhere\n")
    assert free(tmp_path) == 1000
    assert free_memory(f"{tmp_path}/none/") > 1 << 60
    assert free_memory() > 0


@pytest.mark.parametrize("seen_from", ["/here", "/docker/0123/here", "/"])
def test_the_own_group_is_found_wherever_it_is_seen_from(tmp_path: Path, seen_from: str) -> None:
    machine(tmp_path, f"0::{seen_from}\n")
    group(tmp_path, seen_from.lstrip("/") if "docker" not in seen_from else "", str(300 * MIB), 100)
    assert free(tmp_path) == 200


def test_the_groups_above_have_limits_as_well(tmp_path: Path) -> None:
    machine(tmp_path, "0::/slice/service/worker\n")
    group(tmp_path, "slice", str(300 * MIB), 250)
    group(tmp_path, "slice/service", "max", 50)
    group(tmp_path, "slice/service/worker", str(400 * MIB), 50)
    assert free(tmp_path) == 50


def test_groups_of_version_1(tmp_path: Path) -> None:
    machine(tmp_path, "4:cpu,memory:/a/b\n3:cpu:/c\n0::/\n")
    group(tmp_path, "", str(2**63 - 4096), 700, version=1)
    group(tmp_path, "a", str(300 * MIB), 260, f"total_inactive_file {30 * MIB}\n", version=1)
    group(tmp_path, "a/b", str(300 * MIB), 20, version=1)
    assert free(tmp_path) == 70


def test_contents_of_files_are_free(tmp_path: Path) -> None:
    machine(tmp_path, "0::/a\n")
    stat = f"inactive_file {90 * MIB}\nactive_file {9 * MIB}\nworkingset_activate_file 77777777\n"
    group(tmp_path, "a", str(100 * MIB), 100, stat)
    assert free(tmp_path) == 99


def test_more_is_used_than_may_be(tmp_path: Path) -> None:
    machine(tmp_path, "0::/a\n")
    group(tmp_path, "a", str(100 * MIB), 101)
    assert free(tmp_path) == 0

"""Copies through a file that is mapped: the same bytes as by system calls, whatever the data is a view of."""

from __future__ import annotations

import array
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.shared_memory import MemoryFile, mapping, why_unavailable
from bridge.shared_memory.mapping import Mapping
from bridge.shared_memory.memory_file import TOKEN_BYTES

pytestmark = pytest.mark.skipif(
    why_unavailable() is not None, reason=f"no shared memory here: {why_unavailable()}"
)
SIZE = 1 << 16


@pytest.fixture(scope="module")
def file() -> Iterator[MemoryFile]:
    file = MemoryFile()
    file.grow(TOKEN_BYTES, SIZE)
    yield file
    file.close()


class Derived(bytes):
    """Bytes that are not of the class itself."""


VIEWS = {
    "bytes": bytes,
    "bytes of a derived class": Derived,
    "bytearray": bytearray,
    "view of bytes": memoryview,
    "part of bytes": lambda data: memoryview(b"before" + data + b"after")[6 : 6 + len(data)],
    "view of a bytearray": lambda data: memoryview(bytearray(data)),
    "part of a bytearray": lambda data: memoryview(bytearray(b"b" + data + b"a"))[1:-1],
    "read-only view of a bytearray": lambda data: memoryview(bytearray(data)).toreadonly(),
    "view of an array": lambda data: memoryview(array.array("B", data)),
    "view in two dimensions": lambda data: (
        memoryview(data * 2).cast("B", (2, len(data))) if data else memoryview(data)
    ),
}


@given(kind=st.sampled_from(sorted(VIEWS)), data=st.binary(max_size=300), at=st.integers(0, 999))
def test_what_is_written_is_read(file: MemoryFile, kind: str, data: bytes, at: int) -> None:
    view = VIEWS[kind](data)
    expected = bytes(view)
    file.write(TOKEN_BYTES + at, b"\xaa" * (len(expected) + 2))
    file.write(TOKEN_BYTES + at + 1, view)
    # read by both ways
    wanted = b"\xaa" + expected + b"\xaa"
    assert file.read(TOKEN_BYTES + at, len(wanted)) == wanted
    assert os.pread(file.descriptor, len(wanted), TOKEN_BYTES + at) == wanted


def test_a_view_that_is_not_contiguous_is_left_to_others(file: MemoryFile) -> None:
    mapped = Mapping(file.descriptor, SIZE)
    backwards = memoryview(b"abc")[::-1]
    assert not mapped.write(TOKEN_BYTES, backwards)


def test_large_bytes_are_read(file: MemoryFile, monkeypatch: pytest.MonkeyPatch) -> None:
    # what takes pages of 2 MiB otherwise does so from the first page on
    monkeypatch.setattr(mapping, "_NEW_BYTES", 4096)
    data = os.urandom(SIZE)
    file.write(TOKEN_BYTES, data)
    assert file.read(TOKEN_BYTES, SIZE) == data


@pytest.mark.parametrize("missing", ["ctypes", "space"])
def test_where_nothing_can_be_mapped_the_system_copies(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "ctypes":
        monkeypatch.setitem(sys.modules, "bridge.shared_memory.mapping", None)
    else:

        def refuse(*args: object, **options: object) -> None:
            raise OSError(12, "Cannot allocate memory")

        monkeypatch.setattr(mapping.mmap, "mmap", refuse)
    file = MemoryFile()
    try:
        file.grow(TOKEN_BYTES, SIZE)
        data = os.urandom(SIZE)
        file.write(TOKEN_BYTES, memoryview(data))
        assert file.read(TOKEN_BYTES, SIZE) == data
        assert not file._maps
    finally:
        file.close()


def test_what_was_mapped_before_a_file_grew_is_mapped_again() -> None:
    grown = MemoryFile()
    try:
        grown.grow(TOKEN_BYTES, 4096)
        grown.write(TOKEN_BYTES, b"first")
        grown.grow(TOKEN_BYTES + 4096, SIZE)
        grown.write(TOKEN_BYTES + SIZE, b"last")
        assert grown.read(TOKEN_BYTES, 5) == b"first"
        assert grown.read(TOKEN_BYTES + SIZE, 4) == b"last"
    finally:
        grown.close()


def test_a_forked_child_reads_what_its_parent_wrote() -> None:
    program = """
import os
from bridge.shared_memory import MemoryFile
from bridge.shared_memory.memory_file import TOKEN_BYTES
file = MemoryFile()
file.grow(TOKEN_BYTES, 1 << 16)
file.write(TOKEN_BYTES, b"of the parent")
if (child := os.fork()) == 0:
    print(file.read(TOKEN_BYTES, 13).decode(), flush=True)
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "of the parent\n"), ran.stderr


def test_limited_address_space_is_left_to_tools() -> None:
    program = """
import resource
from bridge.shared_memory import MemoryFile
from bridge.shared_memory.memory_file import TOKEN_BYTES
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
file = MemoryFile()
file.grow(TOKEN_BYTES, 1 << 20)
file.write(TOKEN_BYTES, b"x" * (1 << 20))
assert file.read(TOKEN_BYTES, 1 << 20) == b"x" * (1 << 20)
print(sum("memfd:bridge" in line for line in open("/proc/self/maps")), flush=True)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "0\n"), ran.stderr


def test_what_is_mapped_is_not_counted_as_memory_of_the_process() -> None:
    """Else a pool would replace a process for the largest of its messages (``max_rss``)."""
    program = """
import os
from bridge.resident_memory import resident_bytes
from bridge.shared_memory import MemoryFile
from bridge.shared_memory.memory_file import TOKEN_BYTES
file = MemoryFile()
file.grow(TOKEN_BYTES, 64 << 20)
file.write(TOKEN_BYTES, b"first")  # imports what there is to be imported
before = resident_bytes()
for at in range(0, 64 << 20, 1 << 20):
    file.write(TOKEN_BYTES + at, b"x" * (1 << 20))
with open("/proc/self/statm") as statm:
    print(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") - resident_bytes() > 60 << 20)
print(abs(resident_bytes() - before) < 16 << 20)
file.close()
print(abs(resident_bytes() - before) < 16 << 20)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.split() == ["True"] * 3, (ran.stdout, ran.stderr)

"""A file that is nowhere but in memory, and can be opened by processes of the same user.

``memfd_create`` makes it: it has no name in a file system, so nothing is left of it when the last process
that has it open ends, however that ends. Another process opens it as ``/proc/PID/fd/N``, which the kernel
allows to those who may look into this one. It is sealed against becoming shorter, and each byte of it is
reserved before it is used: no access can meet memory that is not there (SIGBUS).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap

    from .mapping import Mapping

#: With so many random bytes the file begins: whoever opens it by a number sees whether it is this one.
TOKEN_BYTES = 32


class MemoryFile:
    """One such file. Any thread may read and write; whoever grows it is alone.

    Raises:
        OSError: There can be none.
    """

    def __init__(self) -> None:
        import fcntl

        self.pid = os.getpid()
        self._size = 0
        self._mapping: Mapping | None = None
        self._maps = True
        low = os.memfd_create("bridge", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            # above 9: a low number could be one that somebody uses by convention
            self.descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 10)
        finally:
            os.close(low)
        try:
            os.fchmod(self.descriptor, 0o600)
            self.token = os.urandom(TOKEN_BYTES)
            self.grow(0, TOKEN_BYTES)
            self.write(0, self.token)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        except BaseException:
            self.close()
            raise

    def grow(self, size: int, more: int) -> None:
        """Reserve ``more`` bytes beyond the first ``size``. Raises ``OSError`` if there are none."""
        os.posix_fallocate(self.descriptor, size, more)
        self._size = size + more

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Copy data to a place, without the GIL."""
        rest = memoryview(data).cast("B")
        mapping = self._mapped(offset + len(rest))
        if mapping is not None and mapping.write(offset, data):
            return
        while rest:
            count = os.pwrite(self.descriptor, rest, offset)
            offset, rest = offset + count, rest[count:]

    def read(self, offset: int, size: int) -> bytes:
        """A copy of what is at a place, made without the GIL."""
        mapping = self._mapped(offset + size)
        if mapping is not None:
            return mapping.read(offset, size)
        data = os.pread(self.descriptor, size, offset)
        while len(data) < size:  # Linux reads 2 GiB at a time
            more = os.pread(self.descriptor, size - len(data), offset + len(data))
            if not more:
                raise OSError("a file in memory has become shorter")
            data += more
        return data

    def map(self, offset: int, size: int) -> mmap:
        """What is at a place, a multiple of the page size, as it stands there: read-only."""
        import mmap

        return mmap.mmap(self.descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)

    def close(self) -> None:
        """Give the file back. What is mapped stays as long as that is used."""
        self._mapping, self._maps = None, False
        os.close(self.descriptor)

    def _mapped(self, end: int) -> Mapping | None:
        """All that is reserved; None: that cannot be mapped, or ends before ``end``.

        Two threads may map it at once, which does no harm.
        """
        mapping, size = self._mapping, self._size
        if end > size or not self._maps:
            return None
        if size > TOKEN_BYTES and (mapping is None or mapping.size < end):
            try:
                if _address_space_is_limited():
                    raise OSError("what there is of it is for tools")
                from .mapping import Mapping  # not where Python was built without ctypes

                mapping = self._mapping = Mapping(self.descriptor, size)
            except (ImportError, AttributeError, OSError, ValueError, MemoryError):
                # MemoryError: importing ctypes, where no memory may be made executable
                mapping, self._mapping, self._maps = None, None, False
        return mapping


def why_unavailable() -> str | None:
    """Why there is no shared memory on this machine; None: there is. Tries it."""
    if not hasattr(os, "memfd_create"):
        return f"{sys.platform} has no memfd_create, which Linux has"
    try:
        file = MemoryFile()
    except (OSError, ValueError, AttributeError) as error:
        return f"no file in memory: {error}"
    try:
        with open(f"/proc/{file.pid}/fd/{file.descriptor}", "rb", buffering=0) as opened:
            if opened.read(TOKEN_BYTES) != file.token:
                return "/proc shows other processes than this one"
    except OSError as error:
        return f"no file can be opened through /proc: {error}"
    finally:
        file.close()
    return None


def _address_space_is_limited() -> bool:
    """Whether this process may not map as much as it likes (``ulimit -v``)."""
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY

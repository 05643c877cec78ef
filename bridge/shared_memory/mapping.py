"""Copies into and out of a file in memory that is mapped once: what ``pread`` and ``pwrite`` do, for less.

A copy within the memory of this process takes half the time of a system call that looks up each page of the
file. And a large object of Python lies in memory that has never been used, where each page of 4 KiB costs
a fault; for pages of 2 MiB the system asks to be told. Both need ``ctypes``, which also gives the GIL away
meanwhile. Where this module cannot be imported, or nothing can be mapped, the system calls do.
"""

from __future__ import annotations

import ctypes
import mmap

from ..resident_memory import map_messages

_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
_new_bytes.restype = ctypes.py_object
_address_of = ctypes.pythonapi.PyBytes_AsString
_address_of.argtypes = [ctypes.py_object]
_address_of.restype = ctypes.c_void_p
# without the GIL, as all that ``CDLL`` has
_advise = ctypes.CDLL(None).madvise
_advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

#: Have the pages of a mapping at once, rather than one by one: Linux 5.14, which Python has no name for.
_POPULATE_WRITE = 23
#: Have pages of 2 MiB: Linux 2.6.38, for which Python has a name where the C library has one.
_HUGEPAGE = 14
#: What is larger is new memory each time, as glibc's ``malloc`` takes it from the system and gives it back
#: (``DEFAULT_MMAP_THRESHOLD_MAX``); what is smaller has mostly been used before.
_NEW_BYTES = 32 << 20


class Mapping:
    """All of a file as it is now, to be read and written. Any thread may use it.

    A forked child has the same memory, as with the file's descriptor.

    Args:
        descriptor: The file's; it is not needed any more afterwards.
        size: How long the file is, in bytes.

    Raises:
        OSError: It cannot be mapped, as where there is a limit of address space.
        ValueError: The file is shorter.
    """

    __slots__ = ("size", "_first", "_address")

    def __init__(self, descriptor: int, size: int) -> None:
        mapped = mmap.mmap(descriptor, size)
        self.size = size
        #: Keeps what is mapped as long as somebody copies.
        self._first = ctypes.c_char.from_buffer(mapped)
        self._address = ctypes.addressof(self._first)
        _advise(self._address, size, _POPULATE_WRITE)  # an older kernel does it page by page
        map_messages(id(self), size)

    def __del__(self) -> None:
        map_messages(id(self), 0)

    def read(self, offset: int, size: int) -> bytes:
        """A copy of some bytes, made without the GIL."""
        data: bytes = _new_bytes(None, size)
        address = _address_of(data)
        if size > _NEW_BYTES:
            begin = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
            end = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE
            _advise(begin, end - begin, _HUGEPAGE)  # advice, which may be refused
        # nobody else knows these bytes yet, so that they may be filled
        ctypes.memmove(address, self._address + offset, size)
        return data

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> bool:
        """Copy data to a place, without the GIL. False: its address is not to be had."""
        if type(data) is bytes:
            ctypes.memmove(self._address + offset, data, len(data))
            return True
        view = memoryview(data)
        if not view.c_contiguous or not view.nbytes:
            return False
        if view.readonly:  # its address is not to be had, but that of all it is a view of may be
            whole = view.obj
            return type(whole) is bytes and len(whole) == view.nbytes and self.write(offset, whole)
        first = ctypes.c_char.from_buffer(view.cast("B"))
        ctypes.memmove(self._address + offset, ctypes.addressof(first), view.nbytes)
        return True

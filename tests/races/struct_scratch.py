"""All calls pack into one scratch buffer, so a packet may carry the fields of two calls."""

import struct

from bridge import ThreadSafeAdapter, tool

EXPECTED = "packet"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.packet = bytearray(6)

    @tool(examples=[[1, 0.5], [2, 1.5]])
    def encode(self, sensor, value):
        struct.pack_into("<H", self.packet, 0, sensor)
        struct.pack_into("<f", self.packet, 2, value)
        return bytes(self.packet)


class Mended(ThreadSafeAdapter):
    """`struct.pack` makes a new packet for every call."""

    @tool(examples=[[1, 0.5], [2, 1.5]])
    def encode(self, sensor, value):
        return struct.pack("<Hf", sensor, value)

"""The formats once more, told so simply that nobody can doubt it: what the fuzzers compare with."""

from __future__ import annotations

from bridge.wire.framing import HEADER_BYTES, PREFIX_BYTES

#: A frame as the bytes in it, or of a refused one the announced length and its first bytes.
Frame = bytes | tuple[int, bytes]

#: What follows a format byte: the size of its length, and how many bytes are not in the length.
_SIZED = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0),  # bin
    0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),  # ext: its type
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),  # str
}  # fmt: skip
_FIXED = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
_CONTAINERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
_EXTENSIONS = {0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8}


def split(stream: bytes, limit: int) -> list[Frame]:
    """The frames in a stream that ends after these bytes, those above ``limit`` refused."""
    frames: list[Frame] = []
    at = 0
    while len(stream) - at >= HEADER_BYTES:
        length = int.from_bytes(stream[at : at + HEADER_BYTES], "big")
        at += HEADER_BYTES
        body = stream[at : at + length]
        if length > limit:
            prefix = body[:PREFIX_BYTES]
            if len(prefix) < min(length, PREFIX_BYTES):
                break
            frames.append((length, prefix))
        elif len(body) < length:
            break
        else:
            frames.append(body)
        at += length
    return frames


class Shape:
    """What a walk over bytes as MessagePack shows, without making values of them.

    ``complete``: exactly one value, and nothing behind it. ``depth``: how deep arrays and maps
    stand in each other. ``plain``: no extension type, and no array or map as the key of a map, so
    that a complete value has no reason to be refused, except for its depth.
    """

    def __init__(self, data: bytes) -> None:
        self.depth = 0
        self.plain = True
        self.complete = self._walk(data)

    def _walk(self, data: bytes) -> bool:
        at = 0
        # how many values are still to come in each open container, and whether it is a map
        open_containers: list[list[int]] = [[1, 0]]
        while True:
            while open_containers and not open_containers[-1][0]:
                open_containers.pop()
            if not open_containers:
                return at == len(data)
            left, is_map = open_containers[-1]
            open_containers[-1][0] -= 1
            if at >= len(data):
                return False
            first = data[at]
            at += 1
            count = -1
            if first in _SIZED or first in _CONTAINERS:
                width, extra = _SIZED.get(first) or _CONTAINERS[first]
                if len(data) - at < width:
                    return False
                number = int.from_bytes(data[at : at + width], "big")
                at += width
                if first in _SIZED:
                    at += number + extra
                else:
                    count, pairs = number * extra, extra == 2
            elif first in _FIXED:
                at += _FIXED[first]
            elif 0x80 <= first <= 0x9F:
                pairs = first < 0x90
                count = (first & 0x0F) * (2 if pairs else 1)
            elif 0xA0 <= first <= 0xBF:
                at += first & 0x1F
            elif first == 0xC1:
                return False
            if first in _EXTENSIONS:
                self.plain = False
            if count >= 0:
                if is_map and left % 2 == 0:
                    self.plain = False
                open_containers.append([count, pairs])
                self.depth = max(self.depth, len(open_containers) - 1)
            if at > len(data):
                return False

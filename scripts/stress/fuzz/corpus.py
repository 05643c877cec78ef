"""The inputs that are worth trying always: a few of ``corpus.txt``, and good messages as seeds."""

from __future__ import annotations

from pathlib import Path

from bridge.wire.framing import encode_header

from .mutations import TEMPLATES

HERE = Path(__file__).parent
CORPUS = HERE / "corpus.txt"
_VECTORS = HERE.parents[2] / "tests" / "vectors"


def corpus(target: str) -> dict[str, bytes]:
    """The inputs of ``corpus.txt`` for a target, by name."""
    found = {}
    for line in CORPUS.read_text().splitlines():
        if line and line[0] != "#":
            name_of_target, name, *data = line.split(maxsplit=2)
            if name_of_target == target:
                found[name] = bytes.fromhex(data[0]) if data else b""
    return found


def seeds(target: str) -> dict[str, bytes]:
    """What a search begins with: the corpus, and good messages in the form that the target reads."""
    found = corpus(target)
    if target in ("codec", "json"):
        for path in sorted(_VECTORS.glob("*.txt")):
            line = next(line for line in path.read_text().splitlines() if line.startswith("bytes:"))
            found[path.stem] = bytes.fromhex(line.removeprefix("bytes:"))
    for number, message in enumerate(TEMPLATES):
        if target == "framing":
            message = b"\x40\x07" + (encode_header(len(message)) + message) * 2
        elif target == "connection":
            message = bytes([number, min(255, len(message))]) + message[:255]
        found[f"message_{number}"] = message
    return found


def read_frames(data: bytes) -> list[bytes]:
    """The payloads in a file that ``write_frames`` made."""
    frames = []
    while data:
        stop = 4 + int.from_bytes(data[:4], "big")
        frames.append(data[4:stop])
        data = data[stop:]
    return frames


def write_frames(frames: list[bytes]) -> bytes:
    """Payloads as they stand on the wire, for a file."""
    return b"".join(encode_header(len(frame)) + frame for frame in frames)

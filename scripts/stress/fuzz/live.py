"""Mutated frames by the million against a real bridge, with well-formed requests between them.

Judged are: every canary (``canaries``) is answered once and rightly, every frame gets as many
answers as ``protos/stdio.md`` says (counted: whether an answer is a response or ``$/error`` may
depend on what was in flight), nothing else is said, nothing is printed, memory stays bounded, no
call is left over, and the process ends with 0.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from random import Random

from msgpack import packb

from bridge.wire.messages import Request

from .live_bridge import LIMIT, PATIENCE_S, SETTLE_EVERY, Bridge, Finding
from .mutations import mutant
from .rules import try_to_decode

#: Frames in a batch. One is read by the bridge while the next is made.
BATCH = 10_000
#: By how much memory may grow after the first batches, in bytes.
MAX_GROWTH = 64 << 20
_STREAMS = b"count"


def mutants(seed: int, batch: int, size: int = BATCH) -> list[bytes]:
    """The payloads of one batch, from its number alone."""
    random = Random(f"{seed}/{batch}")
    frames = [mutant(random) for _ in range(size - 3)]
    # a large one that is read into a buffer of its own, one beyond the limit, and one just so
    for length in (random.randrange(65_000, LIMIT), LIMIT + 1 + random.randrange(9), LIMIT):
        head = b"\x94\x00\x3c\xa4echo\x91\xc6"
        size_of_bytes = length - len(head) - 4
        large = head + size_of_bytes.to_bytes(4, "big") + bytes(size_of_bytes)
        frames.insert(random.randrange(len(frames)), large)
    return with_cancels(frames)


def with_cancels(frames: Iterable[bytes]) -> list[bytes]:
    """Behind every stream that could wait for credit for ever, a cancel for it."""
    result: list[bytes] = []
    waiting: deque[bytes] = deque()
    for frame in frames:
        result.append(frame)
        if _STREAMS in frame:
            message = try_to_decode(frame)
            if isinstance(message, Request) and message.options is not None:
                waiting.append(b"\x93\x02\xaf$/cancelRequest\x91" + packb(message.msgid))
        if len(waiting) > 2:
            result.append(waiting.popleft())
    return [*result, *waiting]


class Figures:
    """What a run has done so far."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.frames = self.canaries = self.answers = self.items = 0
        self.memory_at_first = self.memory = 0

    def note(self, bridge: Bridge, frames: int) -> None:
        """Look at the bridge after so many more frames."""
        self.frames += frames
        self.canaries, self.answers = bridge.canaries.answered, bridge.answered
        self.items, self.memory = bridge.items, bridge.memory or self.memory
        # what it keeps for good it has after some batches
        if not self.memory_at_first and self.frames >= 10 * BATCH:
            self.memory_at_first = self.memory

    @property
    def frames_per_s(self) -> float:
        return self.frames / max(time.monotonic() - self.began, 1e-9)

    def __str__(self) -> str:
        return (
            f"{self.frames:,} mutated frames ({self.frames_per_s:,.0f}/s), {self.answers:,} answers"
            f" and {self.items:,} items to them, {self.canaries:,} good requests answered,"
            f" {self.memory >> 20} MiB"
        )


def run(
    seed: int,
    *,
    frames: int | None = None,
    seconds: float | None = None,
    figures: Figures,
    progress: Callable[[object], object] = lambda figures: None,
    arguments: Iterable[str] = (),
) -> None:
    """Drive a bridge until it has had ``frames`` frames, or for ``seconds``. Raises ``Finding``.

    ``figures`` are up to date whenever ``progress`` gets them, and at the end.
    """
    with Bridge(arguments=arguments) as bridge:
        for number, batch in enumerate(_batches(seed)):
            if frames is not None and figures.frames >= frames:
                break
            if seconds is not None and time.monotonic() - figures.began >= seconds:
                break
            bridge.send(batch)
            if number % SETTLE_EVERY == SETTLE_EVERY - 1:
                bridge.settle()
            figures.note(bridge, len(batch))
            if figures.memory_at_first and figures.memory > figures.memory_at_first + MAX_GROWTH:
                raise Finding(
                    f"memory has grown from {figures.memory_at_first} to {figures.memory}"
                )
            progress(figures)
        bridge.finish()
        figures.note(bridge, 0)


def _batches(seed: int) -> Iterator[list[bytes]]:
    number = 0
    while True:
        yield mutants(seed, number)
        number += 1


def replay(frames: list[bytes], patience_s: float = PATIENCE_S) -> None:
    """Send these frames, with canaries between them, to a bridge of its own. Raises ``Finding``."""
    with Bridge(patience_s) as bridge:
        bridge.send(frames)
        bridge.finish()


def shrink(frames: list[bytes], seconds: float = 60.0) -> list[bytes]:
    """As few of these frames as still show a fault, as far as that can be found in this time."""
    end = time.monotonic() + seconds
    size = len(frames)
    while size > 1:
        size = (size + 1) // 2
        at = 0
        while at < len(frames) and len(frames) > 1:
            if time.monotonic() > end:
                return frames
            size = min(size, len(frames) - 1)
            fewer = frames[:at] + frames[at + size :]
            if _fails(fewer):
                frames = fewer
            else:
                at += size
    return frames


def _fails(frames: list[bytes]) -> bool:
    try:
        replay(frames, patience_s=10.0)
    except Finding:
        return True
    return False

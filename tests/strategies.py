"""Hypothesis strategies: values that survive the wire exactly, messages, and ways to cut bytes."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from bridge.wire.messages import CallOptions, Notification, Request, Response
from bridge.wire.tensors import DTYPES

# Machines are busy: how long one example takes says nothing.
settings.register_profile("bridge", deadline=None, max_examples=100)
settings.load_profile("bridge")

#: The neighbours of every boundary between two forms of an integer.
BOUNDARIES = sorted(
    sign * 2**bits + offset
    for bits in (5, 7, 8, 15, 16, 31, 32, 63, 64, 72, 2040)
    for sign in (1, -1)
    for offset in (-1, 0, 1)
)


def integers() -> st.SearchStrategy[int]:
    """Integers of all sizes, often at a boundary."""
    return st.integers() | st.sampled_from(BOUNDARIES)


def scalar_keys() -> st.SearchStrategy[Any]:
    """Map keys. No NaN: it is not equal to itself, so nothing could be looked up."""
    return (
        st.none()
        | st.booleans()
        | integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=40)
        | st.binary(max_size=40)
    )


def wire_values() -> st.SearchStrategy[Any]:
    """Values that come back equal and of the same type. Tensors are in ``tensors()``."""
    scalars = (
        scalar_keys()
        | st.just(float("nan"))
        | st.datetimes(timezones=st.just(UTC))
        | st.text(min_size=30, max_size=300)
        | st.binary(min_size=250, max_size=300)
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=8) | st.dictionaries(scalar_keys(), inner, max_size=8)
        ),
        max_leaves=12,
    )


@st.composite
def tensors(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Arrays of every element type, rank 0 to 4, some of them empty."""
    dtype = np.dtype(draw(st.sampled_from(sorted(DTYPES.values()))))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    size = int(np.prod(shape, dtype=int)) * dtype.itemsize
    elements = draw(st.binary(min_size=size, max_size=size))
    return np.frombuffer(elements, dtype).reshape(shape)


def message_ids() -> st.SearchStrategy[int]:
    """Unsigned integers of 64 bits, often at a boundary."""
    boundaries = [number for number in BOUNDARIES if 0 <= number < 2**64]
    return st.integers(0, 2**64 - 1) | st.sampled_from(boundaries)


def messages() -> st.SearchStrategy[Request | Response | Notification]:
    """Messages of all three types, without options."""
    params = st.lists(wire_values(), max_size=4) | st.dictionaries(
        st.text(max_size=10), wire_values(), max_size=4
    )
    errors = st.fixed_dictionaries({"code": st.just("internal"), "message": st.text()})
    return (
        st.builds(Request, message_ids(), st.text(), params)
        | st.builds(Response, message_ids(), st.none(), wire_values())
        | st.builds(Response, message_ids(), errors, st.none())
        | st.builds(Notification, st.text(), st.lists(wire_values(), max_size=4))
    )


@st.composite
def call_options(draw: st.DrawFn) -> tuple[dict[str, Any], CallOptions]:
    """The option map of a request, with any of its keys in any order, and what it means."""
    texts = st.text(max_size=8)
    amounts = st.integers(0, 3) | st.integers(0, 2**70)
    wire = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "timeout_ms": st.integers(0, 10**15) | st.floats(0, 1e300),
                "session": texts,
                "metadata": st.dictionaries(texts, texts, max_size=2),
                "stream": st.fixed_dictionaries({"items": amounts, "bytes": amounts}),
            },
        )
    )
    wire = {key: wire[key] for key in draw(st.permutations(list(wire)))}
    timeout, stream = wire.get("timeout_ms"), wire.get("stream")
    return wire, CallOptions(
        timeout_s=timeout / 1000 if timeout is not None and timeout < 1e12 else None,
        session=wire.get("session"),
        metadata=wire.get("metadata"),
        credit=(stream["items"], stream["bytes"]) if stream else None,
    )


@st.composite
def chunks(draw: st.DrawFn, data: bytes, most: int = 12) -> list[bytes]:
    """``data`` in up to ``most`` pieces, cut anywhere; joined they are ``data`` again."""
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=most - 1).map(sorted))
    return [
        data[start:end]
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)
        if start < end
    ]

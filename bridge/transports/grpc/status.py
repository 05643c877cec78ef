"""Errors of calls as gRPC statuses with the rich details of ``google.rpc``.

The convention: https://grpc.io/docs/guides/error/#richer-error-model; the messages:
https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, DebugInfo, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from ...errors import CallError, EncodeError, PoolFull, cut
from ...wire import exactly, sendable
from .values import to_struct

DOMAIN = "bridge"
#: When the queue is full: try again after this.
RETRY_AFTER_MS = 100
#: Trailers are headers: beyond 8 KiB, all told, a client may refuse them, and the error is lost.
_MAX_MESSAGE_BYTES = 768
_MAX_TRACEBACK_BYTES = 2048
_MAX_LINE_BYTES = 512
_MAX_DETAILS_BYTES = 512
_STATUS = "grpc-status-details-bin"
_PUSHBACK = "grpc-retry-pushback-ms"
CODES = {code.name.lower(): code for code in grpc.StatusCode}


class CallStatus(grpc.Status):  # type: ignore[misc]
    """What ``ServicerContext.abort_with_status`` takes.

    Args:
        error: how the call has ended.
        field: the part of the request that is wrong, if it is one; default: ``params``.
    """

    def __init__(self, error: CallError, field: str | None = None) -> None:
        self.code = CODES[error.code]
        self.details = cut(error.message, _MAX_MESSAGE_BYTES)
        rich = Status(code=self.code.value[0], message=self.details)
        for detail in _details(error, field):
            packed = AnyMessage()
            packed.Pack(detail)
            rich.details.append(packed)
        trailers: list[tuple[str, str | bytes]] = [(_STATUS, rich.SerializeToString())]
        if isinstance(error, PoolFull):
            # clients that retry by themselves wait so long
            trailers.append((_PUSHBACK, str(RETRY_AFTER_MS)))
        self.trailing_metadata = tuple(trailers)


def _details(error: CallError, field: str | None) -> Iterator[Message]:
    raised = error.code == "internal" and error.type is not None
    info = ErrorInfo(domain=DOMAIN, reason="TOOL_FAILED" if raised else error.code.upper())
    if error.type is not None:
        info.metadata["type"] = cut(error.type, 256)
    if error.started is not None:
        info.metadata["started"] = "true" if error.started else "false"
    yield info
    if error.traceback:
        yield DebugInfo(stack_entries=_innermost(error.traceback))
    if error.code == "invalid_argument":
        violation = BadRequest.FieldViolation(
            field=field or "params", description=cut(error.message, 512)
        )
        yield BadRequest(field_violations=[violation])
    if isinstance(error, PoolFull):
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(RETRY_AFTER_MS)
        yield retry
    if error.details:
        try:
            details = to_struct(exactly(error.details), "details")
        except EncodeError:
            try:
                details = to_struct(sendable(error.details), "details")
            except BaseException:
                return  # code of the tool's classes: the error matters more than its details
        if details.ByteSize() <= _MAX_DETAILS_BYTES:
            yield details


def _innermost(lines: list[str]) -> list[str]:
    """As many lines from the end as there is room for, in their order."""
    kept: list[str] = []
    room = _MAX_TRACEBACK_BYTES
    for line in reversed(lines):
        # one line may be very long: that of the message
        line = cut(line, _MAX_LINE_BYTES)
        room -= len(line.encode()) + 4
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]

"""The least that can answer the calls of ``protos/bridge.proto`` over gRPC: grpcio and 16 threads.

    python bare_grpc.py

The same messages and the same MessagePack inside them as the bridge has, but nothing around it:
no arguments to bind, no deadlines, no errors. Prints ``GRPC_READY:PORT``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import msgpack

from bridge._generated import bridge_pb2 as pb

_WORKERS = 16
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.so_reuseport", 0),
]


def call(request: Any, _context: Any) -> Any:
    """``Call``: ``echo``, ``sleep`` or ``spin``."""
    result = msgpack.unpackb(request.params.msgpack)[0]
    if request.tool == "sleep":
        time.sleep(result)
    elif request.tool == "spin":
        end = time.monotonic() + result
        while time.monotonic() < end:
            pass
    return pb.CallResponse(result=pb.Payload(msgpack=msgpack.packb(result)))


def call_stream(request: Any, _context: Any) -> Iterator[Any]:
    """``CallStream``: ``count``."""
    count = msgpack.unpackb(request.params.msgpack)[0]
    for number in range(count):
        yield pb.StreamResponse(item=pb.Payload(msgpack=msgpack.packb(number)))
    yield pb.StreamResponse(result=pb.Payload(msgpack=msgpack.packb(count)))


def main() -> None:
    """Serve until killed."""
    server = grpc.server(ThreadPoolExecutor(_WORKERS), options=_OPTIONS)
    methods = {
        "Call": grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=pb.CallRequest.FromString,
            response_serializer=pb.CallResponse.SerializeToString,
        ),
        "CallStream": grpc.unary_stream_rpc_method_handler(
            call_stream,
            request_deserializer=pb.CallRequest.FromString,
            response_serializer=pb.StreamResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("bridge.v1.Bridge", methods)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"GRPC_READY:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()

"""``PortPeer`` over gRPC: the same surface, so that one test can drive either transport."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.rpc.error_details_pb2 import BadRequest, DebugInfo, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bridge._generated import bridge_pb2 as pb
from bridge.errors import CallError
from bridge.testing import PATIENCE_S, PortPeer
from bridge.testing.port import Port
from bridge.wire.codec import Encoder, decode_value

SERVICE = "bridge.v1.Bridge"
_ARGUMENTS = ("--transport", "grpc", "--port", "0")
_CHANNEL_OPTIONS = [
    # limits are the server's business here
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # one connection for each peer, not one for each address
    ("grpc.use_local_subchannel_pool", 1),
    # a peer that is not there yet, or has gone, is an error at once
    ("grpc.enable_retries", 0),
]
#: The smallest window that HTTP/2 begins with, in bytes.
SMALLEST_WINDOW = 65535
_DETAILS: tuple[type[Message], ...] = (ErrorInfo, DebugInfo, BadRequest, RetryInfo, Struct)


class GrpcPeer(PortPeer):
    """A bridge that serves gRPC, and a client of it.

    ``arguments``: those of the command line, after ``--transport grpc --port 0``. ``attach``: talk
    to what is listening at this address instead, and leave its process alone. ``credentials``,
    ``metadata``: of the channel, and for every call. ``window``: how many bytes of a stream the
    client takes before they are read; default: as many as gRPC likes, which it changes. ``tables``:
    whether it says that it takes tables.
    """

    def __init__(
        self,
        *arguments: str,
        attach: int | str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        window: int | None = None,
        wait_until_ready: bool = True,
        tables: bool = True,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.notifications = []
        self.responses = {}
        self.items = {}
        self.ready = None
        self.metadata = list(metadata)
        self.credentials = credentials
        self._options = list(_CHANNEL_OPTIONS)
        if window is not None:
            self._options += [
                ("grpc.http2.bdp_probe", 0),
                ("grpc.http2.lookahead_bytes", window),
            ]
        #: What the process wrote to its standard output, line by line.
        self.stdout: list[str] = []
        #: What gRPC said of each request that failed, by id.
        self.failures: dict[int, grpc.RpcError] = {}
        self._rpcs: dict[int, Any] = {}
        self._credit: dict[int, threading.Semaphore] = {}
        self._encoder = Encoder()
        self._extensions = [3] if tables else []
        self._arrived = threading.Condition()
        self._closed = False
        self._next_id = 0
        self._may_read = threading.Event()
        self._may_read.set()
        self._owns_process = attach is None
        self._stderr = tempfile.TemporaryFile()
        self.channel: Any = None
        if attach is not None:
            self.ready = {"grpc_port": attach}
            self.connect()
            return
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *_ARGUMENTS, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        self._port = Port(self.process, self._stderr)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait_until_ready:
            self._wait(lambda: self.ready is not None)
            self.connect()

    def __exit__(self, *error: object) -> None:
        self.disconnect()
        if self._owns_process:
            self.close()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self._reader.join(PATIENCE_S)
        self._stderr.close()

    # -- the channel ------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where the bridge listens, as a client names it."""
        assert self.ready is not None
        port = self.ready["grpc_port"]
        return port if isinstance(port, str) else f"localhost:{port}"

    def connect(self) -> None:
        """Connect anew, with what ``credentials`` are now."""
        self.disconnect()
        if self.credentials is None:
            channel = grpc.insecure_channel(self.address, options=self._options)
        else:
            channel = grpc.secure_channel(self.address, self.credentials, options=self._options)
        self.channel = channel
        self._call = self.unary("Call", pb.CallResponse)
        self._call_stream = channel.unary_stream(
            f"/{SERVICE}/CallStream",
            request_serializer=_serialize,
            response_deserializer=pb.StreamResponse.FromString,
        )
        self.checks = health_pb2_grpc.HealthStub(channel)

    def disconnect(self) -> None:
        """Close the channel, as a client that disappears; what is in flight ends."""
        if self.channel is not None:
            self.channel.close()
        self.resume()
        with self._arrived:
            for credit in self._credit.values():
                credit.release()  # who waits for it shall see the end

    def unary(self, method: str, response: Any) -> Any:
        """A unary method; the request may be a message, or the bytes of one."""
        return self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=_serialize,
            response_deserializer=response.FromString,
        )

    # -- to the bridge ----------------------------------------------------------------------

    def request(
        self, method: str, params: list[Any] | dict[str, Any] | None = None, **options: Any
    ) -> int:
        data = self.encode([] if params is None else params)
        params = pb.Payload(msgpack=data)
        message = pb.CallRequest(tool=method, params=params, extensions=self._extensions)
        return self.send(message, **options)

    def send(
        self,
        message: pb.CallRequest | bytes,
        *,
        timeout_ms: float | None = None,
        session: str | None = None,
        metadata: dict[str, str] | None = None,
        stream: dict[str, int] | None = None,
    ) -> int:
        """Begin a call with a request as it is; returns its id."""
        if session is not None:
            message.session = session
        how = {
            "timeout": None if timeout_ms is None else timeout_ms / 1000,
            "metadata": [*self.metadata, *(metadata or {}).items()],
        }
        with self._arrived:
            self._next_id += 1
            msgid = self._next_id
            if stream is not None:
                self._credit[msgid] = threading.Semaphore(stream["items"])
        if stream is None:
            self._rpcs[msgid] = rpc = self._call.future(message, **how)
            rpc.add_done_callback(lambda rpc: self._answer(msgid, rpc, rpc.result))
        else:
            self._rpcs[msgid] = rpc = self._call_stream(message, **how)
            threading.Thread(target=self._read_stream, args=(msgid, rpc), daemon=True).start()
        return msgid

    def encode(self, value: Any) -> bytes:
        """A value as MessagePack."""
        with self._arrived:
            return self._encoder.value(value)

    def call(
        self, method: str, params: list[Any] | dict[str, Any] | None = None, **options: Any
    ) -> Any:
        """As over stdio; the methods ``$/`` that gRPC has, too, under their names there."""
        if method == "$/ping":
            self.checks.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
            return params[0] if params else None
        if method in ("$/stats", "$/health"):
            ask = self.unary("GetStats", pb.GetStatsResponse)
            answer = ask(pb.GetStatsRequest(), metadata=self.metadata, timeout=PATIENCE_S)
            return MessageToDict(answer.stats)
        if method == "$/tools":
            ask = self.unary("ListTools", pb.ListToolsResponse)
            answer = ask(pb.ListToolsRequest(), metadata=self.metadata, timeout=PATIENCE_S)
            return [_describe_tool(tool) for tool in answer.tools]
        return super().call(method, params, **options)

    def cancel(self, msgid: int) -> None:
        self._rpcs[msgid].cancel()
        with self._arrived:
            if msgid in self._credit:
                self._credit[msgid].release()  # to see the end, which needs none over stdio

    def credit(self, msgid: int, items: int, size: int = 1 << 20) -> None:
        """Read so many more items of a stream. ``size`` means nothing here."""
        if items:
            self._credit[msgid].release(items)

    def close(self) -> None:
        """End the process with SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    # -- from the bridge --------------------------------------------------------------------

    def result(self, msgid: int, timeout_s: float = PATIENCE_S) -> Any:
        try:
            return super().result(msgid, timeout_s)
        except CallError as error:
            raise error from self.failures[msgid]

    # -- parts ------------------------------------------------------------------------------

    def _answer(self, msgid: int, rpc: Any, response: Callable[[], Any]) -> None:
        """Note how a request has ended. ``response`` returns the last message or raises."""
        try:
            answer: tuple[Any, Any] = (None, _value(response().result))
        except grpc.FutureCancelledError:
            answer = ({"code": "cancelled", "message": "cancelled here"}, None)
            self.failures[msgid] = rpc
        except grpc.RpcError as error:
            answer = (_to_wire(error), None)
            self.failures[msgid] = error
        with self._arrived:
            self.responses.setdefault(msgid, []).append(answer)
            self._arrived.notify_all()

    def _read_stream(self, msgid: int, rpc: Any) -> None:
        last: list[pb.StreamResponse] = []

        def read() -> pb.StreamResponse:
            while True:
                self._credit[msgid].acquire()
                self._may_read.wait()
                try:
                    message = next(rpc)
                except StopIteration:
                    (result,) = last
                    return result
                assert not last, f"{message} follows the result"
                kind = message.WhichOneof("kind")
                if kind == "result":
                    last.append(message)
                if kind != "item":
                    self._credit[msgid].release()  # only items need credit over stdio
                with self._arrived:
                    self._note(msgid, kind, message)
                    self._arrived.notify_all()

        self._answer(msgid, rpc, read)

    def _note(self, msgid: int, kind: str, message: pb.StreamResponse) -> None:
        if kind == "item":
            self.items.setdefault(msgid, []).append(_value(message.item))
        elif kind == "progress":
            progress = message.progress
            total = progress.total if progress.HasField("total") else None
            note = [msgid, progress.done, total, progress.text or None]
            self.notifications.append(("$/progress", note))
        elif kind == "log":
            log = message.log
            fields = MessageToDict(log.fields)
            self.notifications.append(("$/log", [log.level, log.logger, log.text, fields, msgid]))

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as source:
            for line in source:
                text = line.decode().rstrip("\n")
                with self._arrived:
                    self.stdout.append(text)
                    word, _, port = text.partition(":")
                    if word == "GRPC_READY":
                        self.ready = {"grpc_port": int(port) if port.isdigit() else port}
                    self._arrived.notify_all()
        with self._arrived:
            # calls in flight learn it from gRPC
            self._closed = self.ready is None
            self._arrived.notify_all()


def details_of(error: BaseException) -> dict[str, Any]:
    """The parts of ``grpc-status-details-bin``, by the names of their messages."""
    failure = error if isinstance(error, grpc.RpcError) else error.__cause__
    trailers = dict(failure.trailing_metadata() or ())  # type: ignore[union-attr]
    found: dict[str, Any] = {}
    if "grpc-status-details-bin" in trailers:
        status = Status.FromString(trailers["grpc-status-details-bin"])
        if status.code != failure.code().value[0]:  # type: ignore[union-attr]
            return {}  # it was cancelled here just when the server's answer came
        for packed in status.details:
            (kind,) = (kind for kind in _DETAILS if packed.Is(kind.DESCRIPTOR))
            found[kind.DESCRIPTOR.name] = detail = kind()
            packed.Unpack(detail)
    return found


def _to_wire(error: Any) -> dict[str, Any]:
    """The error as the map of the stdio protocol."""
    wire: dict[str, Any] = {"code": error.code().name.lower(), "message": error.details()}
    details = details_of(error)
    if "ErrorInfo" in details:
        facts = details["ErrorInfo"].metadata
        wire["type"] = facts.get("type")
        wire["started"] = {"true": True, "false": False}.get(facts.get("started"))
    if "DebugInfo" in details:
        wire["traceback"] = list(details["DebugInfo"].stack_entries)
    if "Struct" in details:
        wire["details"] = MessageToDict(details["Struct"])
    return wire


def _value(payload: pb.Payload) -> Any:
    if payload.HasField("json"):
        return MessageToDict(payload.json)
    return decode_value(payload.msgpack)


def _serialize(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def _describe_tool(tool: pb.Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "streaming": tool.streaming,
        "idempotent": tool.idempotent,
        "schema": MessageToDict(tool.schema),
        "returns": MessageToDict(tool.returns),
        "parameters": [
            {
                "name": parameter.name,
                "kind": parameter.kind,
                "annotation": parameter.annotation or None,
                "required": parameter.required,
                "default": MessageToDict(parameter.default)
                if parameter.HasField("default")
                else None,
            }
            for parameter in tool.parameters
        ],
    }

"""The gRPC transport: the service of ``protos/bridge.proto`` on the pool that serves stdio too.

gRPC's server hands every request to a pool as a function to run. The requests that call tools go
to the bridge's own pool, so that a running one occupies one worker, a queued one none, and a tool
cannot tell where its call came from. Everything else is answered by a few threads of the
transport, however busy the workers are.

The facts about ``grpc.server`` that this rests on: it calls ``submit`` on its one serving thread,
and ``submit`` must not raise; it sends the answer of a unary request from the thread that ran its
function; the request is received there, too; ``add_callback`` runs when the request is over, for
whatever reason.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from .._generated import bridge_pb2 as pb
from ..errors import (
    CallError,
    EncodeError,
    InvalidParams,
    RemoteProtocolError,
    ShuttingDown,
    UsageError,
)
from ..wire.codec import Encoder, decode_value
from ..wire.messages import CallOptions, Request
from .grpc_json import from_value, to_struct, to_value
from .grpc_settings import Certificates, Token
from .grpc_status import CallStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..dispatcher import Call, Dispatcher
    from ..pool import Lane, Worker
    from .grpc_settings import GrpcSettings

SERVICE = pb.DESCRIPTOR.services_by_name["Bridge"].full_name
#: stdio's ids are below; the dispatcher wants keys that are unique in the process.
_FIRST_KEY = 2**64
#: Threads for what must be answered while every worker is busy.
_CONTROL_THREADS = 4
#: How many requests beyond those that call tools may be in the process.
_CONTROL_ROOM = 256
#: Progress and log lines that wait for a slow client; more are dropped.
_MAX_NOTES = 64
#: What the caller's deadline may be off, seen from our clock.
_SLACK_S = 0.01
#: Until the last answers are on their way; until all that were queued are refused.
_FLUSH_S, _REFUSE_S = 0.1, 1.0
_HIDDEN = frozenset(["authorization", "user-agent"])
_OPTIONS = [
    # two bridges on one port would take turns
    ("grpc.so_reuseport", 0),
    # clients may keep idle connections alive, and find a dead one within seconds
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # so may the server: gRPC's default is two hours
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


class GrpcTransport:
    """Serves any number of clients over the network. ``settings`` are checked already."""

    def __init__(self, settings: GrpcSettings, max_message_bytes: int) -> None:
        self._settings = settings
        self._max_message_bytes = max_message_bytes
        self._control = ThreadPoolExecutor(_CONTROL_THREADS, "bridge-grpc-control")
        self._health = health.HealthServicer()
        self._server: Any = None
        self.dispatcher: Dispatcher
        self.threads = _PerThread()
        #: Progress and log lines that were dropped.
        self.dropped = 0
        self._keys = _FIRST_KEY

    # -- life -------------------------------------------------------------------------------

    def start(self, dispatcher: Dispatcher) -> int | str:
        """Listen and serve. Returns the port, or the address of a Unix socket.

        Raises ``UsageError`` if the address cannot be had.
        """
        self.dispatcher = dispatcher
        settings, pool = self._settings, dispatcher.pool
        size = self._max_message_bytes
        self._server = server = grpc.server(
            self,
            interceptors=[_Guard(self, Token(settings.token_file))] if settings.token_file else (),
            maximum_concurrent_rpcs=pool.max_workers + pool.max_queue + _CONTROL_ROOM,
            options=[
                *_OPTIONS,
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", size),
            ],
        )
        self._add_services()
        port = self._listen()
        for service in ("", SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        server.start()
        return settings.host if settings.is_unix else port

    def drain(self) -> None:
        """Tell the health checks. The dispatcher, once it drains, refuses new calls."""
        self._health.enter_graceful_shutdown()

    def close(self, idle: bool) -> None:
        """Send what is still to be sent and stop; after the drain. ``idle``: no tool runs."""
        error = ShuttingDown("the bridge is shutting down", started=False)
        queued = [job for job in self.dispatcher.pool.withdraw() if isinstance(job, Rpc)]
        wait([self._refuse(rpc, error) for rpc in queued], _REFUSE_S)
        # calls of tools that hang end with the connection, as unavailable; stopping the server
        # would make that "cancelled"
        if idle:
            self._server.stop(_FLUSH_S).wait(_REFUSE_S)

    # -- what gRPC takes for its thread pool ------------------------------------------------

    def submit(self, function: Callable[..., object], *args: Any) -> Rpc:
        """Have a request to call a tool handled: by a worker, or it is refused."""
        self._keys += 1
        rpc = Rpc(self, self._keys, function, args)
        try:
            if self.dispatcher.draining:
                raise ShuttingDown("the bridge is shutting down", started=False)
            self.dispatcher.pool.submit(rpc)
        except CallError as error:
            self._refuse(rpc, error)
        return rpc

    def _refuse(self, rpc: Rpc, error: CallError) -> Future[None]:
        rpc.error = error
        return self._control.submit(rpc.handle)

    # -- parts ------------------------------------------------------------------------------

    def _listen(self) -> int:
        settings, server = self._settings, self._server
        # a socket file belongs to this user alone
        umask = os.umask(0o077) if settings.is_unix else None
        try:
            if settings.tls_cert:
                port: int = server.add_secure_port(settings.address, _credentials(settings))
            else:
                port = server.add_insecure_port(settings.address)
        except RuntimeError as error:
            raise UsageError(
                f"cannot listen on {settings.address}: {error}; is something else there? "
                "--port 0 takes a free one"
            ) from None
        finally:
            if umask is not None:
                os.umask(umask)
        return port

    def _add_services(self) -> None:
        server = self._server
        # requests and responses are bytes to gRPC: what cannot be decoded is answered here
        behaviors = {
            "Call": grpc.unary_unary_rpc_method_handler(self._call),
            "CallStream": grpc.unary_stream_rpc_method_handler(
                # it sends its responses itself
                _mark(self._call_stream, experimental_non_blocking=True)
            ),
            "ListTools": grpc.unary_unary_rpc_method_handler(self.aside(self._list_tools)),
            "GetStats": grpc.unary_unary_rpc_method_handler(self.aside(self._get_stats)),
        }
        server.add_registered_method_handlers(SERVICE, behaviors)
        checks = SimpleNamespace(
            Check=self.aside(self._health.Check),
            Watch=self.aside(self._health.Watch, experimental_non_blocking=True),
        )
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        if self._settings.reflection:
            _add_reflection(server)

    def aside(self, behavior: Callable[..., Any], **marks: object) -> Callable[..., Any]:
        """``behavior``, but run on the transport's own threads. Not for long work."""
        return _mark(behavior, experimental_thread_pool=self._control, **marks)

    def _call(self, data: bytes, context: Any) -> bytes:
        rpc = self.threads.rpc
        assert rpc is not None
        return rpc.call(data, context)

    def _call_stream(self, data: bytes, context: Any, send: Callable[[bytes | None], None]) -> None:
        rpc = self.threads.rpc
        assert rpc is not None
        rpc.stream(data, context, send)

    def _list_tools(self, data: bytes, context: Any) -> bytes:
        tools = [_describe_tool(tool) for tool in self.dispatcher.describe_tools()]
        message: bytes = pb.ListToolsResponse(tools=tools).SerializeToString()
        return message

    def _get_stats(self, data: bytes, context: Any) -> bytes:
        stats = {**self.dispatcher.stats(), "dropped": self.dropped}
        message: bytes = pb.GetStatsResponse(stats=to_struct(stats, "stats")).SerializeToString()
        return message

    def encode(self, value: Any, name: str, as_json: bool) -> pb.Payload:
        """The payload of a result or item. Raises ``EncodeError``."""
        if as_json:
            return pb.Payload(json=to_value(value, name))
        return pb.Payload(msgpack=self.threads.encoder.value(value, name))

    def check_size(self, message: bytes) -> bytes:
        """Raise ``CallError`` for a message that no client would be sent."""
        if len(message) > self._max_message_bytes:
            raise CallError(
                f"the result has {len(message)} bytes, above the limit of "
                f"{self._max_message_bytes} (--max-message-bytes)",
                code="resource_exhausted",
                started=True,
            )
        return message


class Rpc:
    """One request that calls a tool: a job of the pool, and the peer of its call."""

    lane: Lane | None = None
    #: What the request ended with; before it began: why it was refused.
    error: CallError | None = None
    _field: str | None = None
    _result: pb.Payload | None = None
    _as_json = False
    _answered: threading.Event | None = None
    _sender: Sender | None = None

    def __init__(
        self,
        transport: GrpcTransport,
        key: int,
        function: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:
        self._transport = transport
        self._key = key
        self._function = function
        self._args = args
        self._arrived = time.monotonic()
        self._worker: Worker | None = None
        self._now = self._arrived
        self._callbacks: deque[Callable[[Rpc], object]] = deque()
        self._done = False

    # -- for gRPC, which takes it for a Future ----------------------------------------------

    def add_done_callback(self, callback: Callable[[Rpc], object]) -> None:
        """Run ``callback`` when the function has been run; now if it has."""
        self._callbacks.append(callback)
        if self._done:
            self._run_callbacks()

    def _run_callbacks(self) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.popleft()
            except IndexError:
                return  # another thread was faster
            callback(self)

    # -- on its thread ----------------------------------------------------------------------

    def run(self, worker: Worker, now: float) -> float:
        """Handle the request on a worker. The pool calls it."""
        self._worker, self._now = worker, now
        self.handle()
        return time.monotonic()

    def handle(self) -> None:
        """Have gRPC receive the request, call ``call`` or ``stream`` with it, and answer."""
        self._transport.threads.rpc = self
        try:
            self._function(*self._args)
        finally:
            # what they hold must not live until the thread's next request
            self._transport.threads.rpc = None
            del self._function, self._args
            self._done = True
            self._run_callbacks()

    def call(self, data: bytes, context: Any) -> bytes:
        """The response of a unary request. Aborts it otherwise."""
        if self.error is None:
            self._serve(data, context, None)
        if self.error is None:
            try:
                return self._transport.check_size(
                    pb.CallResponse(result=self._result).SerializeToString()
                )
            except CallError as error:
                self.error = error
        context.abort_with_status(CallStatus(self.error, self._field))
        raise AssertionError("abort_with_status() raises")

    def stream(self, data: bytes, context: Any, send: Callable[[bytes | None], None]) -> None:
        """Send the responses of a streaming request, and the end."""
        if self.error is None:
            self._sender = sender = Sender(self._transport, send)
            self._serve(data, context, (0, 0))
        if self.error is None:
            try:
                sender.send(pb.StreamResponse(result=self._result))
                send(None)
                return
            except CallError as error:
                self.error = error
        context.abort_with_status(CallStatus(self.error, self._field))

    def _serve(self, data: bytes, context: Any, credit: tuple[int, int] | None) -> None:
        dispatcher = self._transport.dispatcher
        try:
            request = self._decode(data, context, credit)
        except CallError as error:
            self.error = error
            return
        call = dispatcher.admit(request, self, self._arrived)
        if call is None:
            return
        if call.lane is not None:
            self._answered = threading.Event()
        if not context.add_callback(self._is_over):
            self._is_over()
        assert self._worker is not None
        if not dispatcher.run_here(call, self._worker, self._now):
            assert self._answered is not None
            self._answered.wait()

    def _decode(self, data: bytes, context: Any, credit: tuple[int, int] | None) -> Request:
        try:
            message = pb.CallRequest.FromString(data)
        except DecodeError as error:
            self._field = ""
            raise InvalidParams(
                f"the request is no {SERVICE} CallRequest: {error}", started=False
            ) from None
        params: Any = []
        payload = message.params
        if payload.msgpack:
            self._field = "params.msgpack"
            try:
                params = decode_value(payload.msgpack)
            except RemoteProtocolError as error:
                raise error.to_call_error() from None
        elif payload.HasField("json"):
            self._field = "params.json"
            self._as_json = True
            params = from_value(payload.json)
        if type(params) is not list and type(params) is not dict:
            raise InvalidParams(
                "the parameters must be a list, by position, or a map, by name; "
                f"got {type(params).__name__}",
                started=False,
            )
        timeout_s: float | None = context.time_remaining()
        if timeout_s is not None:
            # an endless one comes as a very long one; ours counts from the request's arrival
            waited = time.monotonic() - self._arrived
            timeout_s = timeout_s + waited if timeout_s < 1e9 else None
        metadata = {
            key: value
            for key, value in context.invocation_metadata()
            if key not in _HIDDEN and type(value) is str and not key.startswith("grpc-")
        }
        options = CallOptions(timeout_s, message.session or None, metadata, credit)
        return Request(self._key, message.tool, params, options)

    def _is_over(self) -> None:
        """gRPC has ended the request: it was answered, or the client does not wait any more."""
        dispatcher = self._transport.dispatcher
        call = dispatcher.calls.get(self._key)
        if call is None:
            return
        if call.deadline is not None and call.deadline - time.monotonic() < _SLACK_S:
            dispatcher.expire(self._key)
        else:
            dispatcher.cancel(self._key)

    # -- dispatcher.Peer --------------------------------------------------------------------

    def send_result(self, key: int, result: Any) -> None:
        self._result = self._transport.encode(result, "result", self._as_json)
        self._end()

    def send_error(self, key: int, error: CallError) -> None:
        self.error = error
        self._end()

    def _end(self) -> None:
        if self._answered is not None:
            self._answered.set()

    def open_stream(self, call: Call) -> Rpc:
        return self

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        progress = pb.Progress(done=done, total=total, text=text or "")
        self._note(pb.StreamResponse(progress=progress))

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> bool:
        try:
            struct = to_struct(fields, "fields")
        except EncodeError as error:
            struct = to_struct({"error": str(error)}, "fields")
        log = pb.LogRecord(level=level, logger=logger, text=text, fields=struct)
        return self._note(pb.StreamResponse(log=log))

    def _note(self, message: pb.StreamResponse) -> bool:
        if self._sender is not None and self._sender.note(message):
            return True
        self._transport.dropped += 1
        return False

    # -- dispatcher.Sink --------------------------------------------------------------------

    def wait(self) -> None:
        """gRPC takes an item and then makes its sender wait."""

    def send(self, item: Any) -> None:
        assert self._sender is not None
        payload = self._transport.encode(item, "item", self._as_json)
        self._sender.send(pb.StreamResponse(item=payload))


class Sender:
    """The messages of one stream, one at a time. gRPC's ``send`` blocks while nobody reads.

    What a tool says beside its items must not wait for that: a thread of its own sends it.
    """

    def __init__(self, transport: GrpcTransport, send: Callable[[bytes | None], None]) -> None:
        self._transport = transport
        self._send = send
        self._sending = threading.Lock()
        self._notes: deque[pb.StreamResponse] = deque()
        self._noting = threading.Lock()

    def send(self, message: pb.StreamResponse) -> None:
        """Send a message, after the notes before it. Blocks until the client takes it.

        Raises ``CallError`` if it is too large.
        """
        data = self._transport.check_size(message.SerializeToString())
        with self._sending:
            self._send_notes()
            self._send(data)

    def note(self, message: pb.StreamResponse) -> bool:
        """Have a message sent before the next one, or sooner. False: the client is too slow."""
        if len(self._notes) >= _MAX_NOTES:
            return False
        self._notes.append(message)
        if self._noting.acquire(blocking=False):
            threading.Thread(target=self._run, name="bridge-grpc-notes", daemon=True).start()
        return True

    def _run(self) -> None:
        while True:
            with self._sending:
                self._send_notes()
            self._noting.release()
            # who noted something meanwhile has seen the lock taken
            if not self._notes or not self._noting.acquire(blocking=False):
                return

    def _send_notes(self) -> None:
        while self._notes:
            self._send(self._notes.popleft().SerializeToString())


class _PerThread(threading.local):
    """What each thread has for itself: an encoder, and the request that it handles."""

    rpc: Rpc | None = None

    def __init__(self) -> None:
        self.encoder = Encoder()


class _Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets nobody in who does not know the token, but health checks, which cannot send it."""

    def __init__(self, transport: GrpcTransport, token: Token) -> None:
        self._token = token
        self._refusal = grpc.unary_unary_rpc_method_handler(transport.aside(self._refuse))

    def intercept_service(self, go_on: Callable[[Any], Any], details: Any) -> Any:
        if details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return go_on(details)
        if self._token.admits(details.invocation_metadata):
            return go_on(details)
        return self._refusal

    def _refuse(self, request: bytes, context: Any) -> None:
        error = CallError(
            'this call needs the metadata "authorization: Bearer TOKEN" with the token of '
            "--token-file",
            code="unauthenticated",
            started=False,
        )
        context.abort_with_status(CallStatus(error))


def _mark(behavior: Callable[..., Any], **marks: object) -> Callable[..., Any]:
    """``behavior`` with attributes that gRPC looks for; a bound method cannot have them."""

    def marked(*args: Any) -> Any:
        return behavior(*args)

    marked.__dict__.update(marks)
    return marked


def _add_reflection(server: Any) -> None:
    from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    # threads of its own: each client has one as long as its stream is open
    info = _mark(
        reflection.ReflectionServicer(names).ServerReflectionInfo,
        experimental_thread_pool=ThreadPoolExecutor(2, "bridge-grpc-reflection"),
    )
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
        SimpleNamespace(ServerReflectionInfo=info), server
    )


def _credentials(settings: GrpcSettings) -> Any:
    """Credentials that follow the files: asked for with every new connection."""
    certificates = Certificates(settings)

    def configuration() -> Any:
        key, chain, authority = certificates.load()
        return grpc.ssl_server_certificate_configuration([(key, chain)], authority)

    def fetch() -> Any:
        if not certificates.changed():
            return None
        try:
            return configuration()
        except UsageError as error:
            from ..logs import logger

            logger().error("the old certificate stays in use: %s", error)
            return None

    return grpc.dynamic_ssl_server_credentials(
        configuration(), fetch, require_client_authentication=bool(settings.tls_client_ca)
    )


def _describe_tool(tool: dict[str, Any]) -> pb.Tool:
    parameters = [
        pb.Parameter(
            name=parameter["name"],
            kind=parameter["kind"],
            annotation=parameter["annotation"] or "",
            required=parameter["required"],
            default=None if parameter["required"] else to_value(parameter["default"], "default"),
        )
        for parameter in tool["parameters"]
    ]
    return pb.Tool(
        name=tool["name"],
        description=tool["description"],
        parameters=parameters,
        streaming=tool["streaming"],
    )

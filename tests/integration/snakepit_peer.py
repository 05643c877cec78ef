"""A Snakepit without Elixir: starts the executable and talks to it, message by message.

``Snakepit`` does what the Elixir side of a version does, in its order: the probes before the
start, the start itself, connecting, calls, and the end. ``ElixirSide`` is the server that workers
may call back.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from bridge._generated import snakepit_bridge_pb2 as pb
from bridge.testing import PATIENCE_S
from tests.processes import is_measured
from tests.waiting import slowness

SERVICE = "snakepit.bridge.BridgeService"
TYPE_URL = "type.googleapis.com/google.protobuf.StringValue"
ROOT = Path(__file__).parents[2]
#: From here on Elixir tells a call's correlation id (lib/snakepit/grpc/client_impl.ex of 0.7.0).
CORRELATED = (0, 7, 0)
#: The run that a worker belongs to: Snakepit finds orphans by it.
RUN_ID = "k7x2m9q"
#: How often the thread that reads looks whether it still shall.
_LOOK_MS = 100
_UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
]


class PythonError(Exception):
    """What Elixir makes of ``success = false``; from 0.8.1 on with the parts of the message."""

    def __init__(self, message: str) -> None:
        self.parts: dict[str, Any] = {}
        if message.startswith("{"):
            self.parts = json.loads(message)
            message = self.parts["message"]
        super().__init__(message)


class Snakepit:
    """One worker, and the Elixir side of a version of Snakepit that owns it.

    ``version``: ``(0, 6, 0)`` and so on. ``adapter_args``: as in Snakepit's configuration.
    ``directory``: where Snakepit's Python files would be, the worker's working directory.
    ``wait``: return when it is ready and connected.
    """

    def __init__(
        self,
        version: tuple[int, int, int],
        *adapter_args: str,
        directory: Path,
        executable: str | None = None,
        elixir_address: str = "localhost:1",
        env: dict[str, str] | None = None,
        wait: bool = True,
    ) -> None:
        self.version = version
        self.directory = directory
        self.executable = executable or make_executable(directory)
        threaded = "--max-workers" in adapter_args
        self.script = str(directory / f"grpc_server{'_threaded' if threaded else ''}.py")
        self.session = session_of(version)
        self.ready_file: Path | None = None
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self.env.pop("SNAKEPIT_READY_FILE", None)
        arguments = [*adapter_args, "--port", "0", "--elixir-address", elixir_address]
        arguments += ["--snakepit-run-id", RUN_ID]
        if version >= (0, 8, 1):
            self.ready_file = (
                Path(tempfile.mkdtemp(dir=directory)) / "snakepit_ready_pool_worker_1_12"
            )
            self.env["SNAKEPIT_READY_FILE"] = str(self.ready_file)
        if version >= (0, 10, 0):
            arguments += ["--snakepit-instance-name", "app", "--snakepit-instance-token", "t0ken"]
        if version >= (0, 13, 0):
            self.env |= {"SNAKEPIT_PROCESS_GROUP": "1", "SNAKEPIT_LOG_LEVEL": "error"}
        self.command = [self.executable, self.script, *arguments]
        #: What the worker wrote, to stdout and stderr, write by write.
        self.output: list[bytes] = []
        self._arrived = threading.Condition()
        self._reads = threading.Event()
        self._reads.set()
        self._ended = False
        # as a port with :stderr_to_stdout: its own session, a pipe on which nothing is written
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=self.env,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.channel: Any = None
        if wait:
            try:
                self.port = self.wait_until_ready()
                self.connect()
            except BaseException:
                self.__exit__()
                raise

    def __enter__(self) -> Snakepit:
        return self

    def __exit__(self, *error: object) -> None:
        if self.channel is not None:
            self.channel.close()
        if is_measured() and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(2.0)
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)
        self.process.stdin.close()

    # -- its life ---------------------------------------------------------------------------

    def wait_until_ready(self, timeout_s: float = PATIENCE_S) -> int:
        """The port that the worker announces in the way of the version."""
        end = time.monotonic() + timeout_s
        with self._arrived:
            while time.monotonic() < end:
                port = self._find_port()
                if port is not None:
                    return port
                assert not self._ended, f"it ended: {self.text}"
                # the file is looked for now and then, as Elixir does
                self._arrived.wait(0.05)
        raise AssertionError(f"not ready: {self.text}")

    def _find_port(self) -> int | None:
        if self.ready_file is None:
            found = [re.search(rb"GRPC_READY:(\d+)", data) for data in self.output]
            return next((int(match[1]) for match in found if match), None)
        try:
            text = self.ready_file.read_text()
        except FileNotFoundError:
            return None
        assert text.strip().isdigit(), "the file appears complete"
        return int(text)

    def connect(self) -> None:
        """Connect as Elixir does, ask for a pong, and begin what the version does at once."""
        self.channel = grpc.insecure_channel(f"localhost:{self.port}", options=_UNLIMITED)
        assert self.ping("connection_test")
        if self.version >= (0, 6, 1):
            request = pb.InitializeSessionRequest(
                session_id=self.session,
                metadata={"elixir_node": "nonode@nohost", "initialized_at": "2026-01-01T00:00:00Z"},
                config=pb.SessionConfig(enable_caching=True, cache_ttl_seconds=60),
            )
            answer = self.ask("InitializeSession", request, pb.InitializeSessionResponse)
            assert answer.success
            #: The tools that the worker says it has.
            self.available_tools = dict(answer.available_tools)
            assert self.heartbeat().session_valid

    def shut_down(self) -> int:
        """SIGTERM, to the group where the version does that; SIGKILL when its patience ends."""
        patience_s = (2.0 if self.version < (0, 9, 0) else 6.0) * slowness()
        if self.version >= (0, 13, 0):
            os.killpg(self.process.pid, signal.SIGTERM)
        else:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_s)

    def die(self) -> int:
        """Be a BEAM that dies: nothing is said, all pipes are closed."""
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    @property
    def text(self) -> str:
        """All that the worker wrote."""
        return b"".join(self.output).decode()

    def stop_reading(self) -> None:
        """Close the end from which the worker's output is read."""
        self._reads.clear()
        self._reader.join(PATIENCE_S)
        assert self.process.stdout.closed

    def _read(self) -> None:
        descriptor = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        with self.process.stdout:
            while self._reads.is_set():
                if not poll.poll(_LOOK_MS):
                    continue
                data = os.read(descriptor, 1 << 16)
                if not data:
                    break
                with self._arrived:
                    self.output.append(data)
                    self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    # -- requests ---------------------------------------------------------------------------

    def ask(self, method: str, request: Any, response: Any, timeout_s: float = PATIENCE_S) -> Any:
        """A unary request and its response."""
        return self.method(method, response)(request, timeout=timeout_s)

    def method(self, method: str, response: Any) -> Any:
        """A unary method of gRPC; its request may be a message, or bytes."""
        return self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda message: (
                message if isinstance(message, bytes) else message.SerializeToString()
            ),
            response_deserializer=response.FromString,
        )

    def ping(self, message: str = "") -> str:
        answer = self.ask("Ping", pb.PingRequest(message=message), pb.PingResponse)
        assert answer.server_time.seconds > 0
        return answer.message

    def heartbeat(self, session: str | None = None) -> pb.HeartbeatResponse:
        request = pb.HeartbeatRequest(session_id=session or self.session)
        return self.ask("Heartbeat", request, pb.HeartbeatResponse)

    def request(
        self,
        tool: str,
        arguments: dict[str, Any] | None = None,
        *,
        binary: dict[str, bytes] | None = None,
        metadata: dict[str, str] | None = None,
        session: str | None = None,
    ) -> pb.ExecuteToolRequest:
        """The request as the version makes it."""
        data = make_request(self.version, tool, arguments or {}, binary or {})
        request = pb.ExecuteToolRequest.FromString(data)
        request.session_id = session or self.session
        request.metadata.update(metadata or {})
        return request

    def call(self, tool: str, arguments: dict[str, Any] | None = None, **options: Any) -> Any:
        """The value that Elixir gets. Raises ``PythonError`` where it gets ``{:error, _}``."""
        timeout_s = options.pop("timeout_s", PATIENCE_S)
        return self.send(self.request(tool, arguments, **options), timeout_s)

    def send(self, request: Any, timeout_s: float = PATIENCE_S) -> Any:
        """The same for a request as it is."""
        return read(self.begin(request, timeout_s).result())

    def begin(self, request: Any, timeout_s: float = PATIENCE_S) -> Any:
        """Begin a call; returns what gRPC has for it."""
        method = self.method("ExecuteTool", pb.ExecuteToolResponse)
        return method.future(request, timeout=timeout_s, metadata=self._headers())

    def stream(self, tool: str, arguments: dict[str, Any] | None = None, **options: Any) -> Any:
        """A stream's chunks."""
        timeout_s = options.pop("timeout_s", PATIENCE_S)
        request = self.request(tool, arguments, **options)
        request.stream = True
        method = self.channel.unary_stream(
            f"/{SERVICE}/ExecuteStreamingTool",
            request_serializer=pb.ExecuteToolRequest.SerializeToString,
            response_deserializer=pb.ToolChunk.FromString,
        )
        return method(request, timeout=timeout_s, metadata=self._headers())

    def items(
        self, tool: str, arguments: dict[str, Any] | None = None, **options: Any
    ) -> list[Any]:
        """What Elixir's callback gets of a stream."""
        return list(read_chunks(self.stream(tool, arguments, **options)))

    def _headers(self) -> list[tuple[str, str]]:
        if self.version < CORRELATED:
            return []
        return [("x-snakepit-correlation-id", "c0rrelation")]


class ElixirSide:
    """The server of the Elixir side, with tools as Python functions. A context manager.

    ``requests``: what it was asked, as ``(method, request)``; ``correlations``: the correlation id
    of each.
    """

    class Failure(Exception):
        """What a tool of Elixir raises to be answered without success."""

    def __init__(self, **tools: Callable[..., Any]) -> None:
        self.tools = tools
        self.requests: list[tuple[str, Any]] = []
        self.correlations: list[str | None] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        methods = {
            "Ping": (lambda request: pb.PingResponse(message="pong"), pb.PingRequest),
            "InitializeSession": (self._initialize, pb.InitializeSessionRequest),
            "RegisterTools": (self._register, pb.RegisterToolsRequest),
            "GetExposedElixirTools": (self._list, pb.GetExposedElixirToolsRequest),
            "ExecuteElixirTool": (self._execute, pb.ExecuteElixirToolRequest),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._noting(name, behavior),
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            for name, (behavior, request) in methods.items()
        }
        self._server.add_registered_method_handlers(SERVICE, handlers)
        self.address = f"localhost:{self._server.add_insecure_port('localhost:0')}"
        self._sessions: set[str] = set()

    def __enter__(self) -> ElixirSide:
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stop(None).wait()

    def forget_sessions(self) -> None:
        """What happens to sessions that nobody uses."""
        self._sessions.clear()

    @property
    def methods(self) -> list[str]:
        """What it was asked, in order."""
        return [method for method, _ in self.requests]

    def _noting(self, name: str, behavior: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: Any) -> Any:
            headers = dict(context.invocation_metadata())
            self.correlations.append(headers.get("x-snakepit-correlation-id"))
            self.requests.append((name, request))
            return behavior(request)

        return answer

    def _initialize(self, request: Any) -> Any:
        self._sessions.add(request.session_id)
        return pb.InitializeSessionResponse(success=True)

    def _register(self, request: Any) -> Any:
        if request.session_id not in self._sessions:
            return pb.RegisterToolsResponse(success=False, error_message="not_found")
        ids = {tool.name: f"{request.session_id}:{tool.name}" for tool in request.tools}
        return pb.RegisterToolsResponse(success=True, tool_ids=ids)

    def _list(self, request: Any) -> Any:
        return pb.GetExposedElixirToolsResponse(
            tools=[
                pb.ToolSpec(
                    name=name,
                    description=tool.__doc__ or "",
                    parameters=[pb.ParameterSpec(name="text", type="string", required=True)],
                    metadata={"exposed_to_python": "true"},
                )
                for name, tool in self.tools.items()
            ]
        )

    def _execute(self, request: Any) -> Any:
        if request.session_id not in self._sessions:
            return pb.ExecuteElixirToolResponse(success=False, error_message="not_found")
        if request.tool_name not in self.tools:
            message = f"Tool {request.tool_name} not found for session {request.session_id}"
            return pb.ExecuteElixirToolResponse(success=False, error_message=message)
        arguments = {name: read_parameter(value) for name, value in request.parameters.items()}
        try:
            result = self.tools[request.tool_name](**arguments)
        except self.Failure as failure:
            return pb.ExecuteElixirToolResponse(success=False, error_message=str(failure))
        if isinstance(result, bytes):
            return pb.ExecuteElixirToolResponse(
                success=True, result=encode(None), binary_result=result
            )
        return pb.ExecuteElixirToolResponse(success=True, result=encode(result))


def make_executable(directory: Path) -> str:
    """What pip makes of the console script, for a package that is not installed."""
    path = directory / "bridge-snakepit"
    path.write_text(
        # a first line takes neither spaces nor long paths: both languages read the second
        "#!/bin/sh\n"
        f"'''exec' {shlex.quote(sys.executable)} \"$0\" \"$@\"\n"
        "' '''\n"
        "import sys\nfrom bridge.snakepit.main import main\nsys.exit(main())\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def write_application(directory: Path, version: str) -> None:
    """The file of Snakepit's application that is above ``priv/python``, which ``directory`` is."""
    ebin = directory.parents[1] / "ebin"
    ebin.mkdir()
    # as mix writes it
    (ebin / "snakepit.app").write_text(
        "{application,snakepit,\n             [{modules,['Elixir.Snakepit']},\n"
        f'              {{vsn,"{version}"}}]}}.\n'
    )


def run(arguments: Sequence[str], directory: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Start the executable for a moment, as the probes of 0.13 do."""
    return subprocess.run(
        [make_executable(directory), *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def session_of(version: tuple[int, ...]) -> str:
    """The session of a call that names none."""
    return "default_session" if version < (0, 6, 4) else "session_17_1700000000000000"


def make_request(
    version: tuple[int, ...], tool: str, arguments: dict[str, Any], binary: dict[str, bytes]
) -> bytes:
    """An ``ExecuteToolRequest`` as the Elixir side of ``version`` makes it."""
    request = pb.ExecuteToolRequest(session_id=session_of(version), tool_name=tool)
    for key, value in arguments.items():
        request.parameters[key].CopyFrom(encode(value))
    request.binary_parameters.update(binary)
    if version >= CORRELATED:
        request.metadata["correlation_id"] = "c0rrelation"
    data: bytes = request.SerializeToString()
    return data


def read_parameter(message: Any) -> Any:
    """An argument for a tool of Elixir: JSON, or the ``StringValue`` of Snakepit's own worker."""
    try:
        return json.loads(message.value)
    except ValueError:
        return StringValue.FromString(message.value).value


def encode(value: Any) -> Any:
    """A value as Elixir sends it."""
    message = pb.ExecuteToolResponse().result
    message.type_url = TYPE_URL
    message.value = json.dumps(value).encode()
    return message


def read(response: pb.ExecuteToolResponse) -> Any:
    """The value that Elixir makes of a response."""
    if not response.success:
        raise PythonError(response.error_message)
    assert response.HasField("result"), "0.6 crashes without a result"
    assert response.result.type_url == TYPE_URL
    value = json.loads(response.result.value)
    return response.binary_result if response.binary_result else value


def read_chunks(chunks: Any) -> Iterator[Any]:
    """The items of a stream, whose chunks are checked."""
    ended = False
    for number, chunk in enumerate(chunks, 1):
        assert not ended, "nothing follows the final chunk"
        assert chunk.chunk_id.endswith(f"-{number}")
        ended = chunk.is_final
        if chunk.data or not ended:
            yield read_data(chunk.data)
    assert ended, "there is a final chunk"


def read_data(data: bytes) -> Any:
    """The data of a chunk: JSON, or bytes that are none, which Elixir hands on in base64."""
    try:
        return json.loads(data)
    except ValueError:
        return data

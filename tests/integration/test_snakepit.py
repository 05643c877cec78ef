"""The stand-in for Snakepit's Python worker, driven as Snakepit's Elixir side drives it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

grpc = pytest.importorskip("grpc")

from bridge._generated import snakepit_bridge_pb2 as pb  # noqa: E402
from bridge.testing import PATIENCE_S  # noqa: E402
from tests.processes import Processes, Shared  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

from . import snakepit_peer  # noqa: E402
from .snakepit_peer import (  # noqa: E402
    RUN_ID,
    SERVICE,
    ElixirSide,
    PythonError,
    Snakepit,
    encode,
    read,
    read_chunks,
    run,
)

#: Each starts, connects or is told errors in a way of its own.
VERSIONS = V06, V08, V13 = (0, 6, 0), (0, 8, 0), (0, 13, 0)
NAMES = ("0.6.0", "0.8.0", "0.13.0")
HERE = Path(__file__).parent
THREADED = ("--mode", "threaded")


def prepare(directory: Path, adapter: str, workers: int | None) -> list[str]:
    """Snakepit's configuration for a test adapter, which is put where Snakepit's files are."""
    (directory / "adapters.py").write_text((HERE / "snakepit_adapters.py").read_text())
    threaded = [] if workers is None else [*THREADED, "--max-workers", str(workers)]
    return ["--adapter", f"adapters.{adapter}", *threaded]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Snakepit]]:
    """Start a worker with a test adapter; it is ended with the test."""
    started: list[Snakepit] = []

    def start(
        version: tuple[int, int, int] = V13,
        adapter: str = "Tools",
        *,
        workers: int | None = 4,
        arguments: tuple[str, ...] = (),
        **options: Any,
    ) -> Snakepit:
        args = [*prepare(tmp_path, adapter, workers), *arguments]
        worker = Snakepit(version, *args, directory=tmp_path, **options)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.__exit__()


@pytest.fixture(scope="module")
def workers(
    processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shared[Snakepit]]:
    def start(version: tuple[int, int, int], adapter: str) -> Snakepit:
        directory = tmp_path_factory.mktemp("snakepit")
        return Snakepit(version, *prepare(directory, adapter, 4), directory=directory)

    with Shared(processes, start, gather) as workers:
        yield workers


def gather(worker: Snakepit) -> None:
    """Wait until every worker is free: that many calls meet."""
    for call in [worker.begin(worker.request("gather")) for _ in range(4)]:
        assert read(call.result()) is None


@pytest.fixture(params=VERSIONS, ids=NAMES)
def worker(workers: Shared[Snakepit], request: pytest.FixtureRequest) -> Iterator[Snakepit]:
    """A worker of each version, for tests that leave it as it was."""
    with workers.lend(request, request.param, "Tools") as worker:
        yield worker


@pytest.fixture
def classic(workers: Shared[Snakepit], request: pytest.FixtureRequest) -> Iterator[Snakepit]:
    """A worker with an adapter that was written for Snakepit, left as it was."""
    with workers.lend(request, V13, "Classic") as worker:
        yield worker


# -- the start --------------------------------------------------------------------------------


def test_the_port_is_announced_in_one_write(start):
    worker = start(V06, env={"PYTHONUNBUFFERED": "1"})
    assert worker.output == [f"GRPC_READY:{worker.port}\n".encode()]


def test_the_port_appears_in_the_file_and_nothing_is_left_beside_it(start):
    worker = start(V13)
    assert worker.ready_file.read_text().strip() == str(worker.port)
    assert os.listdir(worker.ready_file.parent) == [worker.ready_file.name]


def test_the_service_is_reached_under_every_address_of_localhost(start):
    worker = start()
    for address in ("127.0.0.1", "[::1]"):
        if address == "[::1]" and not Path("/proc/net/if_inet6").exists():
            continue  # this machine has no IPv6
        with grpc.insecure_channel(f"{address}:{worker.port}") as channel:
            ping = channel.unary_unary(f"/{SERVICE}/Ping")
            assert ping(b"", timeout=PATIENCE_S)


def test_orphans_are_found_as_python_with_script_and_run(start):
    worker = start()
    pid = worker.process.pid
    assert "python" in Path(f"/proc/{pid}/comm").read_text()
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    assert worker.script in command
    assert command[command.index("--snakepit-run-id") + 1] == RUN_ID


def test_the_process_leads_a_group_where_that_is_wanted(start):
    worker = start(V13)
    assert os.getpgid(worker.process.pid) == worker.process.pid


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        ("Nothing", "'adapters' has no 'Nothing'"),
        ("FailsToStart", "the model file is missing"),
        ("NotThreadSafe", "does not say that its tools may run at once"),
    ],
)
def test_a_failed_start_says_why_and_exits_with_neither_0_nor_143(start, adapter, words):
    worker = start(V13, adapter, wait=False)
    assert worker.process.wait(PATIENCE_S) == 1
    wait_until(lambda: words in worker.text)
    assert not worker.ready_file.exists()


def test_what_is_meant_for_the_interpreter_reaches_it(tmp_path):
    done = run(["-c", "import sys; print(sys.version.split()[0], sys.argv)", "more"], tmp_path)
    version = sys.version.split()[0]
    assert (done.returncode, done.stdout) == (0, f"{version} ['-c', 'more']\n")
    assert run(["-c", "import grpc"], tmp_path).returncode == 0
    assert run(["-c", "raise SystemExit(3)"], tmp_path).returncode == 3
    assert run(["-m", "no_such_module"], tmp_path).returncode == 1


@pytest.mark.parametrize(("adapter", "code"), [("Tools", 0), ("Nothing", 1)])
def test_the_health_check_tells_whether_the_adapter_can_be_had(tmp_path, adapter, code):
    (tmp_path / "python").mkdir()
    # beside the script, not in the working directory
    (tmp_path / "python" / "adapters.py").write_text((HERE / "snakepit_adapters.py").read_text())
    script = str(tmp_path / "python" / "grpc_server.py")
    done = run([script, "--health-check", "--adapter", f"adapters.{adapter}"], tmp_path)
    assert done.returncode == code
    assert ("Nothing" in done.stderr) == bool(code)


def test_the_health_check_starts_a_worker_and_says_why_it_cannot(tmp_path, monkeypatch):
    (tmp_path / "adapters.py").write_text((HERE / "snakepit_adapters.py").read_text())
    ready = tmp_path / "ready"
    monkeypatch.setenv("SNAKEPIT_READY_FILE", str(ready))
    check = ["grpc_server.py", "--health-check", "--adapter", "adapters.Tools"]
    done = run(check, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not ready.exists(), "the trial is not the worker that Snakepit waits for"
    (tmp_path / "grpc_health.py").write_text("raise AttributeError('no attribute List')")
    done = run(check, tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{HERE.parents[1]}")
    assert (done.returncode, done.stderr) == (1, "bridge: AttributeError: no attribute List\n")


def test_the_module_can_be_run_as_well(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bridge.snakepit", "--version"],
        cwd=snakepit_peer.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("bridge ")


def test_options_that_nobody_knows_are_taken(start):
    worker = start(V06, arguments=("--from-a-later-version", "value", "--flag"))
    assert worker.call("add", {"a": 1}) == 2


# -- beside tools -----------------------------------------------------------------------------


def test_a_session_begins_is_shown_and_ends(start):
    worker = start(V13)
    assert worker.available_tools["add"].description == "Add two numbers."
    a, b = worker.available_tools["add"].parameters
    assert (a.name, a.type, a.required) == ("a", "float", True)
    assert (b.required, b.default_value.value) == (False, b"1")
    assert worker.available_tools["count"].supports_streaming
    ask = worker.ask
    session = ask(
        "GetSession", pb.GetSessionRequest(session_id=worker.session), pb.GetSessionResponse
    )
    assert session.session_id == worker.session
    assert session.metadata["elixir_node"] == "nonode@nohost"
    assert session.created_at.seconds > 0
    assert session.tool_count == len(worker.available_tools)
    cleanup = pb.CleanupSessionRequest(session_id=worker.session, force=True)
    answers = [ask("CleanupSession", cleanup, pb.CleanupSessionResponse) for _ in range(2)]
    assert [(answer.success, answer.resources_cleaned) for answer in answers] == [
        (True, 1),
        (True, 0),
    ]
    with pytest.raises(grpc.RpcError) as caught:
        ask("GetSession", pb.GetSessionRequest(session_id=worker.session), pb.GetSessionResponse)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert worker.heartbeat(worker.session).session_valid


@pytest.mark.parametrize("method", ["RegisterTools", "GetExposedElixirTools", "ExecuteElixirTool"])
def test_what_a_worker_does_not_serve_is_unimplemented(worker, method):
    with pytest.raises(grpc.RpcError) as caught:
        worker.method(method, pb.PingResponse)(b"", timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert worker.call("add", {"a": 1}) == 2


def test_heartbeats_are_answered_while_every_worker_is_busy_and_the_queue_grows(start):
    worker = start(V13, workers=2)
    running = [worker.begin(worker.request("hold", {"name": str(n)})) for n in range(20)]
    for _ in range(50):
        assert worker.heartbeat().session_valid
        assert worker.ping("x") == "pong: x"
    assert not any(rpc.done() for rpc in running)
    for rpc in running:
        rpc.cancel()


# -- tools ------------------------------------------------------------------------------------


def test_a_call_gets_its_result(worker):
    assert worker.call("add", {"a": 1, "b": 2}) == 3
    assert worker.call("add", {"a": 1.5}) == 2.5


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("none", None),
        ("true", True),
        ("int", 7),
        ("float", 7.0),
        ("big", 2**70),
        ("text", "größer"),
        ("set", [1]),
    ],
)
def test_values_keep_their_type(worker, what, expected):
    found = worker.call("give", {"what": what})
    assert (found, type(found)) == (expected, type(expected))


def test_parameters_keep_their_type(worker):
    arguments = {
        "a": True,
        "b": 1,
        "c": 1.0,
        "d": None,
        "e": [1, {"x": "größer"}],
        "f": 2**70,
    }
    found = worker.call("echo", arguments)
    assert found == arguments
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in arguments.items()
    }


def test_binary_parameters_are_bytes(worker):
    assert worker.call("echo", {"n": 1}, binary={"image": b"\x80\x04"}) == {"n": 1, "image": 2}


def test_bytes_are_results_where_the_version_has_room_for_them(start):
    worker = start(V13)
    assert worker.call("give", {"what": "bytes"}) == b"\x00\xff\x01"
    assert worker.call("give", {"what": "no bytes"}) == ""
    assert start(V06).call("give", {"what": "bytes"}) == "b'\\x00\\xff\\x01'"


MARKER = {"__ffi_unserializable__": True}


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("bytes inside", {"image": [MARKER | {"__type__": "builtins.bytes"}]}),
        ("nan inside", {"scores": [1.0, None]}),
        ("broken", [MARKER | {"__type__": "adapters.Broken"}]),
    ],
)
def test_what_json_cannot_say_is_no_error_of_the_call(worker, what, expected):
    assert worker.call("give", {"what": what}) == expected


def test_a_result_that_has_no_end_is_named(worker):
    with pytest.raises(PythonError, match=r"result.* nested too deeply, or contains itself"):
        worker.call("give", {"what": "endless"})


def test_errors_are_text_before_they_are_objects(start):
    for version in (V06, V08):
        response = start(version).begin(start_request("fail", message="it's bad")).result()
        assert (response.success, response.error_message) == (False, "it's bad")
    worker = start(V13)
    with pytest.raises(PythonError, match=r"^it's bad$") as caught:
        worker.call("fail", {"message": "it's bad"})
    parts = caught.value.parts
    assert parts["type"] == "ValueError"
    assert parts["context"] == {
        "tool_name": "fail",
        "session_id": worker.session,
        "code": "internal",
    }
    assert parts["stacktrace"][0] == "Traceback (most recent call last):"
    assert parts["stacktrace"][-1] == "ValueError: it's bad"
    assert "raise ValueError(message)" in parts["traceback"]


def test_an_error_that_is_no_valid_text_is_an_answer(worker):
    with pytest.raises(PythonError, match=r"^file \\udcff\.txt$"):
        worker.call("fail_with_surrogate")


def start_request(tool: str, **arguments: Any) -> pb.ExecuteToolRequest:
    request = pb.ExecuteToolRequest(tool_name=tool, session_id="default_session")
    for name, value in arguments.items():
        request.parameters[name].CopyFrom(encode(value))
    return request


def test_the_tool_sees_session_and_metadata(start):
    facts = start(V06).call("facts")
    assert (facts["session"], facts["metadata"]) == ("default_session", {})
    facts = start(V13).call("facts", session="s1", metadata={"thread_sensitive": "true"})
    assert facts["session"] == "s1"
    # what came as headers of HTTP is no part of it
    assert facts["metadata"] == {"correlation_id": "c0rrelation", "thread_sensitive": "true"}


def test_calls_run_at_once_in_one_process(worker):
    calls = [worker.begin(worker.request("meet")) for _ in range(2)]
    assert [read(call.result()) for call in calls] == [True, True]
    assert worker.call("facts")["pid"] == worker.process.pid


def test_more_calls_than_a_client_takes_for_granted_fit_on_one_connection(start):
    """Elixir's HTTP/2 client assumes 100 if the server says nothing, and refuses the rest."""
    import socket

    worker = start()
    with socket.create_connection(("localhost", worker.port), timeout=PATIENCE_S) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        stream = client.makefile("rb")
        header = stream.read(9)
        assert header[3] == 4, "settings come first"
        payload = stream.read(int.from_bytes(header[:3], "big"))
    settings = {
        int.from_bytes(payload[at : at + 2], "big"): int.from_bytes(payload[at + 2 : at + 6], "big")
        for at in range(0, len(payload), 6)
    }
    assert settings[3] >= 100_000  # SETTINGS_MAX_CONCURRENT_STREAMS


# -- streams ----------------------------------------------------------------------------------


def test_a_stream_is_items_and_an_empty_end(worker):
    chunks = list(worker.stream("count", {"n": 2}))
    assert [(chunk.chunk_id, chunk.data, chunk.is_final) for chunk in chunks] == [
        ("count-1", b"0", False),
        ("count-2", b"1", False),
        ("count-3", b"", True),
    ]


def test_the_result_of_any_tool_can_be_streamed(worker):
    assert worker.items("add", {"a": 1}) == [2]
    assert worker.items("give", {"what": "none"}) == []


def test_a_stream_is_asked_for(worker):
    with pytest.raises(PythonError, match="execute_stream"):
        worker.call("count", {"n": 1})


def test_a_stream_that_fails_ends_with_its_error(start):
    for version, expected in ((V06, "'later'"), (V13, '"type": "KeyError"')):
        worker = start(version)
        stream = worker.stream("fail_later")
        assert next(stream).data == b"1"
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert expected in caught.value.details()


@pytest.mark.parametrize(("size", "depth"), [(100_000, 0), (10, 90), (4000, 90)])
def test_a_long_error_fits_into_the_end_of_a_stream(worker, size, depth):
    stream = worker.stream("fail_at_length", {"size": size, "depth": depth})
    assert next(stream).data == b"1"
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    details = caught.value.details()
    assert "xxxxxxxxxx" in details
    if worker.version >= V13:
        parts = json.loads(details)
        assert parts["type"] == "ValueError"
        assert parts["message"].startswith("x" * min(size, 950))  # then how much was left out


@pytest.mark.parametrize(
    ("what", "expected"), [("nan", None), ("object", MARKER | {"__type__": "builtins.object"})]
)
def test_an_item_that_json_cannot_say_is_no_error_of_the_stream(worker, what, expected):
    assert worker.items("stream_of", {"what": what}) == [1, expected]


def test_a_stream_that_is_cancelled_closes_its_generator(worker):
    worker.call("said")
    stream = worker.stream("count", {"n": 10**9})
    assert [next(stream).data for _ in range(3)] == [b"0", b"1", b"2"]
    stream.cancel()
    wait_until(lambda: "count closed" in worker.call("said"))


# -- bad input --------------------------------------------------------------------------------


def test_an_unknown_tool_is_an_answer(worker):
    with pytest.raises(PythonError, match="there is no tool 'nothing'; there are add, "):
        worker.call("nothing")
    with pytest.raises(grpc.RpcError, match="there is no tool 'nothing'") as caught:
        list(worker.stream("nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("data", [b"{", b"", b"\xff", b"[" * 100_000])
def test_a_parameter_that_is_not_json_is_named(worker, data):
    request = worker.request("add", {"b": 1})
    request.parameters["a"].CopyFrom(encode(1))
    request.parameters["a"].value = data
    with pytest.raises(PythonError, match="the parameter 'a' is n"):
        worker.send(request)
    assert worker.call("add", {"a": 1}) == 2


def test_arguments_that_do_not_fit_are_refused_with_the_signature(worker):
    with pytest.raises(PythonError, match=r"missing argument 'a'; the tool is add\("):
        worker.call("add")


def test_pickle_is_refused(worker, tmp_path):
    trace = tmp_path / "unpickled"
    evil = f"cos\nsystem\n(S'touch {trace}'\ntR.".encode()
    with pytest.raises(PythonError, match="'data' is pickled"):
        worker.call("echo", binary={"data": evil}, metadata={"binary_format:data": "pickle"})
    # without the metadata they are bytes like any others
    assert worker.call("echo", binary={"data": evil}) == {"data": len(evil)}
    assert not trace.exists()


def test_a_request_that_is_no_message_is_an_answer(worker):
    with pytest.raises(PythonError, match="this is no ExecuteToolRequest"):
        worker.send(b"\xff\xff\xff")


def test_messages_may_have_100_mib_but_not_101(start):
    worker = start(V13)
    size = 99 << 20
    assert worker.call("echo", binary={"data": bytes(size)}) == {"data": size}
    with pytest.raises(grpc.RpcError) as caught:
        worker.call("echo", binary={"data": bytes(101 << 20)})
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(PythonError, match="above the limit of 104857600"):
        worker.call("give", {"what": "large"})
    assert worker.call("add", {"a": 1}) == 2


def test_a_call_whose_time_runs_out_while_it_runs_learns_of_it(worker):
    for timeout_s in (0.3, 3.0, PATIENCE_S):
        worker.call("said")
        rpc = worker.begin(worker.request("hold", {"name": "running"}), timeout_s=timeout_s)
        assert rpc.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
        said = worker.call("said")
        if said:
            break  # it began before its time ran out, as on most machines
    wait_until(lambda: said.extend(worker.call("said")) or len(said) == 2)
    assert said == ["running began", "running ended, cancelled"]


def test_a_call_whose_time_runs_out_in_the_queue_never_runs(start):
    worker = start(V13, workers=1)
    first = worker.begin(worker.request("hold", {"name": "first"}))
    wait_until(lambda: "first holds" in worker.text)
    queued = worker.begin(worker.request("hold", {"name": "queued"}), timeout_s=0.3)
    assert queued.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
    first.cancel()
    # another thread has its place by then, and the tool may still be about to end
    said: list[str] = []
    wait_until(lambda: said.extend(worker.call("said")) or len(said) > 1)
    assert said == ["first began", "first ended, cancelled"]


# -- towards Elixir ---------------------------------------------------------------------------


def test_tools_call_tools_of_elixir(start):
    with ElixirSide(shout=str.upper, join=lambda words: " ".join(words)) as elixir:
        elixir.tools["shout"] = lambda text: text.upper()
        worker = start(V13, elixir_address=elixir.address)
        assert worker.call("add", {"a": 1}) == 2
        assert elixir.requests == [], "nobody asked for it"
        ask = {"name": "shout", "arguments": {"text": "größer"}}
        assert worker.call("ask_elixir", ask) == "GRÖSSER"
        assert elixir.methods == ["InitializeSession", "RegisterTools", "ExecuteElixirTool"]
        registration = elixir.requests[1][1]
        assert registration.session_id == worker.session
        assert {tool.name for tool in registration.tools} == set(worker.available_tools)
        request = elixir.requests[2][1]
        assert request.parameters["text"].value.decode() == '"größer"'
        assert request.parameters["text"].type_url == snakepit_peer.TYPE_URL
        found = worker.call("elixir_tools")
        assert set(found) == {"shout", "join"}
        assert found["join"]["parameters"][0]["name"] == "text"
        # the session is known by now
        assert elixir.methods[3:] == ["GetExposedElixirTools"]


def test_bytes_come_back_from_elixir(start):
    with ElixirSide(data=lambda: b"\x00\xff") as elixir:
        worker = start(V13, elixir_address=elixir.address)
        assert worker.call("ask_elixir", {"name": "data", "arguments": {}}) == b"\x00\xff"


def test_a_session_that_elixir_forgot_is_made_known_again(start):
    with ElixirSide(shout=lambda text: text.upper()) as elixir:
        worker = start(V13, elixir_address=elixir.address)
        ask = {"name": "shout", "arguments": {"text": "a"}}
        assert worker.call("ask_elixir", ask) == "A"
        elixir.forget_sessions()
        with pytest.raises(PythonError, match="not_found"):
            worker.call("ask_elixir", ask)
        assert worker.call("ask_elixir", ask) == "A"


def test_what_json_cannot_say_is_not_sent_to_elixir(start):
    with ElixirSide(shout=lambda text: text.upper()) as elixir:
        worker = start(V13, elixir_address=elixir.address)
        with pytest.raises(PythonError, match="shout: text cannot be encoded: JSON has no nan"):
            worker.call("ask_elixir_nan")
        assert "ExecuteElixirTool" not in elixir.methods


def test_what_elixir_says_of_a_failure_reaches_the_caller(start):
    with ElixirSide() as elixir:
        worker = start(V13, elixir_address=elixir.address)
        with pytest.raises(PythonError, match="'nothing' failed: Tool nothing not found"):
            worker.call("ask_elixir", {"name": "nothing", "arguments": {}})


def test_elixir_that_is_not_there_is_an_error_of_the_call(start):
    worker = start(V13)
    with pytest.raises(PythonError, match="Elixir at localhost:1: InitializeSession") as caught:
        worker.call("ask_elixir", {"name": "shout", "arguments": {}})
    assert caught.value.parts["context"]["code"] == "unavailable"


def test_a_cancelled_call_does_not_wait_for_elixir(start):
    asked, answer = threading.Event(), threading.Event()

    def never() -> None:
        asked.set()
        answer.wait()

    with ElixirSide(never=never) as elixir:
        worker = start(V13, workers=1, elixir_address=elixir.address)
        rpc = worker.begin(worker.request("ask_elixir", {"name": "never", "arguments": {}}))
        assert asked.wait(PATIENCE_S)
        rpc.cancel()
        assert worker.call("add", {"a": 1}) == 2, "the only worker is free again"
        answer.set()


# -- events -----------------------------------------------------------------------------------


def test_elixir_hears_of_calls_and_of_what_adapters_tell(start, tmp_path):
    """0.6.7 to 0.13.0, StreamTelemetry: ``lib/snakepit/telemetry/grpc_stream.ex``.

    It opens the stream once it is connected, waits for headers, and asks for events.
    """
    write_snakepit_bridge(tmp_path)
    worker = start(V13, "Telling", workers=None)
    controls: SimpleQueue[Any] = SimpleQueue()
    method = worker.channel.stream_stream(
        f"/{SERVICE}/StreamTelemetry",
        request_serializer=pb.TelemetryControl.SerializeToString,
        response_deserializer=pb.TelemetryEvent.FromString,
    )
    events = method(iter(controls.get, None), timeout=3 * PATIENCE_S)
    events.initial_metadata()
    controls.put(pb.TelemetryControl(toggle=pb.TelemetryToggle(enabled=True)))
    # told when the module was loaded, before anybody asked
    assert next(events).event_parts == ["python", "memory", "sampled"]
    assert worker.call("tell") == "c0rrelation"
    found = [next(events) for _ in range(3)]
    assert [".".join(event.event_parts) for event in found] == [
        "python.call.start", "tool.result_size", "python.call.stop",
    ]  # fmt: skip
    assert {event.correlation_id for event in found} == {"c0rrelation"}
    assert [event.metadata["tool"] for event in found] == ["tell"] * 3
    # an open stream does not hold up the end, which ends it
    assert worker.shut_down() == 0
    assert list(events) == []
    assert "arning" not in worker.text


def write_snakepit_bridge(directory: Path) -> None:
    """As much of Snakepit's own package as adapters import here."""
    package = directory / "snakepit_bridge"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "telemetry.py").write_text(
        "from contextvars import ContextVar\n"
        "backend, correlation = None, ContextVar('correlation', default=None)\n"
        "def set_backend(new):\n    global backend\n    backend = new\n"
        "def set_correlation_id(value):\n    return correlation.set(value)\n"
        "def get_correlation_id():\n    return correlation.get()\n"
    )
    (package / "zero_copy.py").write_text(
        "class ZeroCopyRef:\n"
        "    def __init__(self, payload):\n        self.payload = payload\n"
        "    def to_payload(self):\n        return dict(self.payload)\n"
    )


# -- threads ----------------------------------------------------------------------------------


def test_calls_that_are_sensitive_to_the_thread_run_on_the_main_one(start):
    """0.9.1 to 0.13.0, ExecuteTool: ``thread_sensitive`` in the metadata
    (``lib/snakepit/grpc/client_impl.ex``), ``$SNAKEPIT_THREAD_SENSITIVE`` for the worker."""
    env = {"SNAKEPIT_THREAD_SENSITIVE": "torch,numpy.linalg.svd"}
    worker = start(V13, "Classic", workers=None, env=env)
    sensitive = {"thread_sensitive": "true"}
    main, other = ["MainThread", True], False
    assert worker.call("thread", metadata=sensitive) == main
    assert worker.call("thread", {"library": "torch"}) == main
    assert worker.call("thread")[1] == other
    # while it is busy there, everything else goes on
    busy = worker.begin(worker.request("hang", metadata=sensitive))
    wait_until(lambda: "hangs" in worker.text)
    assert worker.call("thread")[1] == other
    assert worker.heartbeat().session_valid
    busy.cancel()
    assert worker.shut_down() == 0


def test_sigterm_ends_a_process_whose_main_thread_hears_nothing(start):
    """As one does that waits in C, or that has gone to sleep as the signal came."""
    worker = start(V13, "Classic", workers=None)
    busy = worker.begin(worker.request("hang_deaf", metadata={"thread_sensitive": "true"}))
    wait_until(lambda: "hangs" in worker.text)
    busy.cancel()
    assert worker.shut_down() == 0


# -- references -------------------------------------------------------------------------------


def test_a_zero_copy_reference_arrives_as_the_class_that_adapters_know(start, tmp_path):
    """0.7.4 to 0.13.0, ExecuteTool: ``priv/python/snakepit_bridge/zero_copy.py``."""
    write_snakepit_bridge(tmp_path)
    reference = {"__snakepit_zero_copy__": True, "kind": "dlpack", "ref": "r1", "shape": [2]}
    worker = start(V13, "Classic")
    kind, back = worker.call("reference", {"tensor": reference})
    assert (kind, back) == ("snakepit_bridge.zero_copy", reference)


# -- adapters in the way of Snakepit ----------------------------------------------------------


def test_execute_tool_takes_every_name(start):
    for version in (V06, V13):
        worker = start(version, "Classic")
        assert worker.call("add", {"a": 1, "b": 2}) == 3
        with pytest.raises(PythonError, match="no such tool: nothing"):
            worker.call("nothing")
        assert worker.call("later") == "later"


def test_one_instance_is_made_and_prepared_once(classic):
    steps = ["created", "set_session_context", "initialize in None"]
    assert [classic.call("steps") for _ in range(2)] == [steps, steps]


def test_one_instance_has_the_session_of_each_call(classic):
    assert classic.call("session", session="s1") == ["s1", "s1", "c0rrelation"]
    calls = [classic.begin(classic.request("meet", session=name)) for name in ("s1", "s2")]
    assert [read(call.result()) for call in calls] == [["s1", "s1"], ["s2", "s2"]]


@pytest.mark.parametrize(
    ("tool", "arguments", "items"),
    [
        ("count", {"n": 2}, [{"n": 0}, {"n": 1}]),
        ("count_later", {"n": 2}, [0, 1]),
        ("chunks", {}, [b"a", b"b"]),
        ("list", {}, [1, 2, 3]),
        ("map", {}, [{"one": 1}]),
        ("later", {}, [b"later"]),
    ],
)
def test_whatever_execute_tool_returns_can_be_streamed(classic, tool, arguments, items):
    assert classic.items(tool, arguments) == items


def test_metadata_of_chunks_is_kept(classic):
    chunks = list(classic.stream("chunks"))
    assert [dict(chunk.metadata) for chunk in chunks] == [{"part": "1"}, {}]
    # as Snakepit's worker sends text: it may be JSON already
    assert list(read_chunks(chunks)) == [b"a", b"b"]


def test_the_session_context_leads_to_elixir(start):
    with ElixirSide(shout=lambda text: text.upper()) as elixir:
        worker = start(V13, "Classic", elixir_address=elixir.address)
        assert worker.call("elixir") == [["shout"], "A"]


def test_marked_methods_are_tools(start):
    worker = start(V13, "Marked")
    assert set(worker.available_tools) == {"double", "letters"}
    assert worker.available_tools["double"].description == "Doubles a number"
    assert worker.call("double", {"number": 2}) == 4
    assert worker.items("letters", {"text": "ab"}) == ["a", "b"]


def test_marks_describe_what_execute_tool_runs(start):
    worker = start(V13, "MarkedClassic")
    assert set(worker.available_tools) == {"double", "letters"}
    assert worker.call("double", {"number": 2}) == 4
    assert worker.items("letters", {"text": "ab"}) == [b"a", b"b"]


def test_an_instance_has_one_call_at_a_time_without_max_workers(start):
    worker = start(V06, "NotThreadSafe", workers=None)
    calls = [worker.begin(worker.request("any")) for _ in range(20)]
    found = [read(call.result()) for call in calls]
    assert all(alone for _, _, alone in found)
    # each instance has counted its own calls, without a gap
    counts: dict[int, list[int]] = {}
    for instance, count, _ in found:
        counts.setdefault(instance, []).append(count)
    assert all(sorted(each) == list(range(1, len(each) + 1)) for each in counts.values())


@pytest.mark.parametrize("adapter", ["NotThreadSafe", "OneAtATime"])
def test_a_call_that_nobody_waits_for_blocks_no_other(start, adapter):
    """0.13, ``:process``: the caller's time is over, the tool goes on, and Elixir sends the next."""
    worker = start(V13, adapter, workers=None)
    for n in range(8):  # more than there are threads
        rpc = worker.begin(worker.request("hang"))
        wait_until(lambda n=n: worker.text.count("hangs") == n + 1)
        rpc.cancel()
        assert worker.call("quick") == "quick"


def test_a_stream_that_is_not_read_blocks_no_other_call(start):
    """0.13: a callback has returned ``:halt``, and Elixir reads no further without cancelling
    (``lib/snakepit/adapters/grpc_python.ex``, ``deliver_chunk``)."""
    worker = start(V13, "NotThreadSafe", workers=None)
    stream = worker.stream("endless")
    next(stream)
    assert worker.call("quick") == "quick"
    stream.cancel()


def test_threads_for_calls_that_nobody_waits_for_are_counted_and_bounded(start):
    worker = start(V13, "Tools", workers=1, arguments=("--max-abandoned", "2"))
    held = []
    for n in range(3):
        held.append(worker.begin(worker.request("hang")))
        wait_until(lambda n=n: worker.text.count("hangs") == n + 1)
        held[n].cancel()
    # the third keeps the one place
    with pytest.raises(grpc.RpcError) as caught:
        worker.call("add", {"a": 1}, timeout_s=1.0)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert worker.heartbeat().session_valid


def test_the_thread_safety_check_finds_races_in_classes_of_snakepit(start):
    worker = start(V13, "Racy", arguments=("--thread-safety-check",))

    def is_found() -> bool:
        for call in [worker.begin(worker.request("count")) for _ in range(2)]:
            call.result()
        return "Racy.count" in worker.text

    wait_until(is_found)


def test_own_messages_live_beside_those_of_snakepit(tmp_path):
    """An adapter may import Snakepit's generated code, in which the same names stand."""
    program = """
import bridge.snakepit.service
from google.protobuf import descriptor_pb2, descriptor_pool

file = descriptor_pb2.FileDescriptorProto(name="snakepit_bridge.proto", package="snakepit.bridge")
file.message_type.add(name="PingRequest").field.add(name="other", number=1, type=9, label=1)
descriptor_pool.Default().Add(file)
found = descriptor_pool.Default().FindMessageTypeByName("snakepit.bridge.PingRequest")
assert [field.name for field in found.fields] == ["other"]
"""
    subprocess.run([sys.executable, "-c", program], cwd=snakepit_peer.ROOT, check=True)


# -- the page about it ------------------------------------------------------------------------

PAGE = (snakepit_peer.ROOT / "docs" / "coming-from-snakepit.md").read_text()


@pytest.mark.parametrize("name", ["my_adapter", "my_new_adapter"])
def test_the_adapters_of_the_page_work(tmp_path, name):
    (program,) = re.findall(rf"```python\n# {name}.py\n(.*?)```", PAGE, re.S)
    (tmp_path / f"{name}.py").write_text(program)
    arguments = re.search(r"adapter_args: (\[.*\])", PAGE)[1]
    adapter_args = json.loads(arguments.replace("my_adapter", name))
    with (
        ElixirSide(upcase=lambda text: text.upper()) as elixir,
        Snakepit(V13, *adapter_args, directory=tmp_path, elixir_address=elixir.address) as worker,
    ):
        assert worker.call("translate", {"word": "two"}) == "zwei"
        assert worker.items("countdown", {"start": 3}) == [3, 2, 1]
        assert worker.call("shout", {"text": "hey"}) == "HEY"
        with pytest.raises(PythonError, match="there is no tool"):
            worker.call("whisper")


# -- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS, ids=NAMES)
def test_sigterm_ends_the_process_within_snakepits_patience(start, version):
    worker = start(version)
    call = worker.begin(worker.request("hold", {"name": "last"}))
    wait_until(lambda: "last began" in worker.call("said"))
    assert worker.shut_down() == 0
    assert not call.result().success


@pytest.mark.parametrize("version", VERSIONS, ids=NAMES)
def test_sigterm_ends_a_process_whose_tool_hangs(start, version):
    worker = start(version)
    rpc = worker.begin(worker.request("hang"))
    wait_until(lambda: "hangs" in worker.text)
    assert worker.shut_down() == 0
    assert rpc.exception().code() is grpc.StatusCode.UNAVAILABLE, "the connection broke"


def test_a_beam_that_dies_takes_the_process_along(start, tmp_path):
    cleaned = tmp_path / "cleaned"
    worker = start(V13, "Classic", env={"TEST_CLEANUP_FILE": str(cleaned)})
    assert worker.die() == 0
    assert cleaned.read_text() == "cleaned up"


def test_a_process_whose_readers_are_gone_as_well_ends_too(start, tmp_path):
    """All pipes break at once when a VM dies, and a tool that speaks then must not hold it up."""
    worker = start(V13)
    worker.process.send_signal(signal.SIGSTOP)
    call = worker.begin(worker.request("speak", {"text": "x" * 100}))
    worker.stop_reading()
    worker.process.stdin.close()
    worker.process.send_signal(signal.SIGCONT)
    call.cancel()
    assert worker.process.wait(PATIENCE_S) == 0


def test_what_tools_print_reaches_elixir_at_once(worker):
    worker.call("speak", {"text": "hello, log"})
    wait_until(lambda: "hello, log\n" in worker.text)

"""What 0.1 gave to the outside: names, import paths, commands. They go on working.

A name goes only after one minor release in which it warned. Private names are here because
programs outside of this repository have come to use them.
"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

from bridge.testing import PortPeer
from tests.waiting import WAIT_S

HERE = Path(__file__).parent
ERROR = "code to_wire from_wire"
PEER = (
    "call request result stream cancel credit stats notify notification wait_for_items send_frame "
    "send_bytes pause resume close wait kill end end_expected exit_status stderr _receive"
)
ADAPTER = (
    "setup close acquire_lock get_thread_local set_thread_local clear_thread_local request_tracker "
    "get_stats"
)
#: The names of each module, and the members of those that are classes.
NAMES = {
    "bridge": {
        "Adapter": "setup close",
        "ThreadSafeAdapter": ADAPTER,
        "ThreadLocalStorage": "get set delete clear",
        "RequestTracker": "start_request end_request get_stats",
        "thread_safe_method": "",
        "tool": "",
        "Context": "id tool session metadata cancelled check time_remaining wait on_cancel progress "
        "log call_elixir elixir_tools",
        "current_context": "",
        "BridgeError": "",
        "AdapterError": "",
        "CallError": ERROR,
        "Cancelled": ERROR,
        "DeadlineExceeded": ERROR,
        "InvalidParams": ERROR,
        "PoolFull": ERROR,
        "ShuttingDown": ERROR,
        "ToolFailed": ERROR,
        "ToolNotFound": ERROR,
    },
    "bridge.errors": {
        "CODES": "",
        "EncodeError": "",
        "LocalProtocolError": "",
        "ProtocolError": "",
        "RemoteProtocolError": "to_call_error",
        "TransportClosed": "",
        "Unimplemented": ERROR,
        "UsageError": "",
    },
    "bridge.testing": {
        "PortPeer": PEER,
        "ConnectionPair": "receive send request stream notify result error item fault notification "
        "take_bytes",
        "PATIENCE_S": "",
        "describe": "",
    },
    "bridge.testing.pytest_plugin": {"bridge_adapter": "", "BridgeStarter": "end get_sections"},
    "bridge.thread_safety.checker": {
        "ThreadSafetyChecker": "watch report get_report",
        "ThreadSafetyError": "",
        "ThreadSafetyWarning": "",
    },
    "bridge.adapters.showcase": {"Showcase": "matrix_multiply compute_intensive batch_process"},
    # what programs outside reach into
    "bridge.wire.codec": {"Encoder": "request result error item notification value"},
    "bridge.wire.framing": {"encode_header": ""},
    "bridge.wire.messages": {"Request": "", "Response": "", "Notification": ""},
}
#: Modules that the docs named, whose names warn by now.
MOVED = {
    "bridge.testing.elixir_peer": {"ElixirPeer": PEER},
    "bridge.testing.erlport_peer": {
        "ErlPortError": ERROR,
        "ErlPortPeer": "call request result cast wait_until send send_frame close kill wait stderr",
        "as_text": "",
    },
    "bridge.testing.erlang_terms": dict.fromkeys(
        [
            *("Atom", "BitString", "Function", "ImproperList", "List", "Map", "Pid", "Reference"),
            *("FALSE", "NIL", "TRUE"),
            *("after_echo", "charlist", "from_python", "refusals", "to_python"),
        ],
        "",
    ),
    "bridge.testing.erlang_strategies": dict.fromkeys(
        [
            *("atoms", "binaries", "bitstrings", "charlists", "floats", "functions", "integers"),
            *("iodata", "opaque_terms", "pids", "references", "erlang_terms", "sendable_terms"),
        ],
        "",
    ),
    "bridge.testing.external_terms": dict.fromkeys(
        ["VERSION", "encode_term", "decode_term", "same_term"], ""
    ),
}
COMMANDS = ("", "tools", "call", "check", "doctor")
HAS_GRPC = find_spec("grpc") is not None
needs_grpc = pytest.mark.skipif(not HAS_GRPC, reason="there is no gRPC here")


def missing(module: object, names: dict[str, str]) -> list[str]:
    """The names that a module has not, and the members that its classes have not."""
    found = [name for name in names if not hasattr(module, name)]
    for name, members in names.items():
        kind = getattr(module, name, None)
        found += [f"{name}.{member}" for member in members.split() if not hasattr(kind, member)]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_names_are_there(name: str) -> None:
    assert missing(importlib.import_module(name), NAMES[name]) == []


@pytest.mark.parametrize(
    ("module", "name", "keywords"),
    [
        ("bridge", "tool", "name description serial stream examples"),
        ("bridge", "CallError", "code type traceback started details"),
        (
            "bridge.testing",
            "PortPeer",
            "nouse_stdio wait_until_ready ready_timeout_s python env cwd remember_bytes",
        ),
        ("bridge.testing", "ConnectionPair", "max_message_bytes"),
        (
            "bridge.thread_safety.checker",
            "ThreadSafetyChecker",
            "enabled strict packages directory note",
        ),
    ],
)
def test_the_keywords_are_there(module: str, name: str, keywords: str) -> None:
    function = getattr(importlib.import_module(module), name)
    assert set(keywords.split()) <= set(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", MOVED)
def test_a_module_that_has_moved_warns_and_has_its_names(name: str) -> None:
    sys.modules.pop(name, None)
    with pytest.warns(DeprecationWarning, match=f"{name} is called bridge.testing.erlang"):
        module = importlib.import_module(name)
    assert missing(module, MOVED[name]) == []
    assert module is sys.modules[module.__name__]
    assert module.__name__.startswith("bridge.testing.erlang.")


def test_the_warning_names_the_line_that_imports(tmp_path: Path) -> None:
    program = tmp_path / "theirs.py"
    program.write_text("".join(f"import {name}\n" for name in MOVED))
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=WAIT_S
    )
    places = [line.split(": ")[:2] for line in done.stderr.splitlines() if "is called" in line]
    assert places == [[f"{program}:{n}", "DeprecationWarning"] for n in range(1, 1 + len(MOVED))]


@needs_grpc
def test_the_generated_messages_are_there() -> None:
    names = {"bridge_pb2": {"CallRequest": ""}, "snakepit_bridge_pb2": {"ExecuteToolRequest": ""}}
    for name, messages in names.items():
        module = importlib.import_module(f"bridge._generated.{name}")
        assert missing(module, messages) == []


def test_programs_that_reach_into_the_test_peer_still_can() -> None:
    from bridge.wire.codec import Encoder
    from bridge.wire.framing import encode_header

    with PortPeer("--adapter", "adapters:Tools", "--app-dir", str(HERE)) as peer:
        received, receive = [], peer._receive

        def note(message: object, size: int) -> None:
            received.append(message)
            receive(message, size)

        peer._receive = note  # type: ignore[method-assign]
        with peer._arrived:
            first = peer._next_id + 1
            peer._next_id += 2
        frames = [peer._encoder.request(first, "$/ping", [1], None)]
        frames.append(Encoder().request(first + 1, "$/ping", [2]))
        peer.send_bytes(b"".join(encode_header(len(frame)) + frame for frame in frames))
        assert [peer.result(first), peer.result(first + 1)] == [1, 2]
        assert [type(message).__name__ for message in received] == ["Response", "Response"]
        assert peer.call("$/ping", [3]) == 3
        assert peer.process.poll() is None
        assert peer.ready is not None


def run(*command: str) -> str:
    """What a command writes to stdout; fails if its exit status is not 0."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_start(command: str) -> None:
    assert "usage: " in run(sys.executable, "-m", "bridge", *command.split(), "--help")


@needs_grpc
def test_the_command_of_snakepit_starts() -> None:
    assert "--adapter" in run(sys.executable, "-m", "bridge.snakepit", "--help")


def test_the_table_of_libraries_is_printed() -> None:
    assert "numpy" in run(sys.executable, "-m", "bridge.thread_safety.libraries").lower()


@pytest.mark.parametrize("name", ["bridge", pytest.param("bridge-snakepit", marks=needs_grpc)])
def test_the_console_scripts_are_there(name: str) -> None:
    (script,) = entry_points(group="console_scripts", name=name)
    assert callable(script.load())
    assert "--adapter" in run(str(Path(sys.executable).with_name(name)), "--help")


def test_pytest_finds_the_plugin() -> None:
    (plugin,) = entry_points(group="pytest11", name="bridge")
    assert hasattr(plugin.load(), "bridge_adapter")

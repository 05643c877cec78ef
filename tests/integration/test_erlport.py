"""One suite against a stock ErlPort process and the bridge: what is alike, and every difference.

The differences are the rows of ``docs/coming-from-erlport.md``; ``@row`` names the one that a test
backs. The ErlPort is that of PyPI, see ``erlport_fork``, or the one below ``$BRIDGE_ERLPORT``:
the path of ``priv/python3`` of the Erlang application.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import CallError, DeadlineExceeded, EncodeError, TransportClosed
from bridge.testing import PortPeer
from bridge.testing.erlang.elixir_peer import ElixirPeer
from bridge.testing.erlang.erlport_peer import ErlPortError, ErlPortPeer, as_text
from bridge.testing.erlang.external_terms import same_term
from bridge.testing.erlang.terms import (
    FALSE,
    NIL,
    TRUE,
    Atom,
    BitString,
    ImproperList,
    List,
    Map,
    Pid,
    Reference,
    charlist,
)
from tests.processes import Processes, Shared
from tests.waiting import wait_until

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GUIDE = (ROOT / "docs" / "coming-from-erlport.md").read_text()
ERLPORT = os.environ.get("BRIDGE_ERLPORT") or str(HERE / "erlport_fork")
IS_FORK = ERLPORT.endswith("erlport_fork")
PID = Pid("nonode@nohost", 91, 0, 0)
#: How long to watch that something does not happen.
SHORT_S = 0.3


def start_erlport(*path: str, module: str = "erlport_tools", **options: Any) -> ErlPortPeer:
    return ErlPortPeer(module, python_path=[ERLPORT, str(HERE), str(ROOT), *path], **options)


def start_bridge(*arguments: str, **options: Any) -> ElixirPeer:
    adapter = ("--adapter", "erlport_tools", "--app-dir", str(HERE))
    return ElixirPeer(*adapter, "--max-workers", "4", "--grace", "0.2", *arguments, **options)


Side = ErlPortPeer | ElixirPeer


@pytest.fixture(scope="module")
def peers(processes: Processes) -> Iterator[Shared[Side]]:
    with Shared(processes, lambda start: start(), settle) as peers:
        yield peers


def settle(peer: Side) -> None:
    """Wait until nothing runs any more: an ErlPort does one thing after the other."""
    assert peer.call("add", [1, 2]) == 3
    if isinstance(peer, ElixirPeer):
        wait_until(lambda: dict(peer.call("$/health").pairs)[b"busy"] == 0, "an idle pool")


@pytest.fixture
def erlport(peers: Shared[Side], request: pytest.FixtureRequest) -> Iterator[Side]:
    with peers.lend(request, start_erlport) as peer:
        yield peer


@pytest.fixture
def bridge(peers: Shared[Side], request: pytest.FixtureRequest) -> Iterator[Side]:
    with peers.lend(request, start_bridge) as peer:
        yield peer


@pytest.fixture(params=["erlport", "bridge"])
def side(request: pytest.FixtureRequest) -> Side:
    """Either, for what is the same on both."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def new() -> Iterator[Callable[..., Any]]:
    """Start one more, for tests that end it; it is ended with the test."""
    peers = []

    def start(how: Callable[..., Any], *arguments: str, **options: Any) -> Any:
        peers.append(how(*arguments, **options))
        return peers[-1]

    yield start
    for peer in peers:
        peer.process.kill()
        peer.__exit__(None, None, None)


ROWS: set[str] = set()


def row(first_cell: str) -> Callable[[Any], Any]:
    """The test backs the row of the guide that begins so."""
    ROWS.add(first_cell)
    return lambda test: test


# -- values ---------------------------------------------------------------------------------

#: Elixir, the term, then for ErlPort and for the bridge: what Python has, what an echo gives back
#: ("same": the term itself).
SAME = object()
VALUES = [
    ("nil", NIL, "Atom(b'nil')", SAME, "None", SAME),
    ("true", TRUE, "True", SAME, "True", SAME),
    (":undefined", Atom("undefined"), "None", SAME, "'undefined'", b"undefined"),
    (":ok", Atom("ok"), "Atom(b'ok')", SAME, "'ok'", b"ok"),
    (":nan", Atom("nan"), "Atom(b'nan')", SAME, "nan", SAME),
    ("42", 42, "42", SAME, "42", SAME),
    ("2 ** 70", 2**70, str(2**70), SAME, str(2**70), SAME),
    ("1.5", 1.5, "1.5", SAME, "1.5", SAME),
    ('"text"', b"text", "b'text'", SAME, "'text'", SAME),
    ("<<255>>", b"\xff", "b'\\xff'", SAME, "b'\\xff'", SAME),
    (
        '{:bytes, "text"}',
        (Atom("bytes"), b"text"),
        "(Atom(b'bytes'), b'text')",
        SAME,
        "b'text'",
        b"text",
    ),
    ("'hi'", charlist("hi"), "List([104, 105])", SAME, "[104, 105]", SAME),
    ("[]", List(), "List([])", SAME, "[]", SAME),
    ('[1, "a"]', List((1, b"a")), "List([1, b'a'])", SAME, "[1, 'a']", SAME),
    (
        "[true, false]",
        List((TRUE, FALSE)),
        "List([True, False])",
        List((1, 0)),
        "[True, False]",
        SAME,
    ),
    ("{:ok, 1}", (Atom("ok"), 1), "(Atom(b'ok'), 1)", SAME, "['ok', 1]", List((b"ok", 1))),
    (
        "%{a: 1}",
        Map(((Atom("a"), 1),)),
        "Map({Atom(b'a'): 1})",
        SAME,
        "{'a': 1}",
        Map(((b"a", 1),)),
    ),
    ("%{1 => 2}", Map(((1, 2),)), "Map({1: 2})", SAME, "{1: 2}", SAME),
    ("[1 | 2]", ImproperList((1,), 2), "ImproperList([1], 2)", SAME, None, None),
    ("self()", PID, "OpaqueObject", SAME, None, None),
    ("make_ref()", Reference("a@b", 1, (2, 3, 4)), "OpaqueObject", SAME, None, None),
    ("<<1::3>>", BitString(b"\x20", 3), "OpaqueObject", SAME, None, None),
    (
        "%{{1, 2} => 3}",
        Map((((1, 2), 3),)),
        "Map({(1, 2): 3})",
        SAME,
        None,
        None,
    ),
]


@pytest.mark.parametrize("values", VALUES, ids=[values[0] for values in VALUES])
def test_each_row_of_the_table_of_values(values, erlport, bridge):
    elixir, term, in_erlport, from_erlport, in_bridge, from_bridge = values
    assert f"\n| `{elixir.replace('|', chr(92) + '|')}` | `{in_erlport}` |" in GUIDE
    if not (IS_FORK and isinstance(term, Map)):  # see below
        assert as_text(erlport.call("seen", [term])).partition(" ")[2].startswith(in_erlport)
        back = erlport.call("echo", [term])
        assert same_term(back, term if from_erlport is SAME else from_erlport)
    if in_bridge is None:
        with pytest.raises(EncodeError):
            bridge.call("seen", [term])
    else:
        assert bridge.call("seen", [term]).decode().partition(" ")[2] == in_bridge
        assert same_term(bridge.call("echo", [term]), term if from_bridge is SAME else from_bridge)


#: What a function returns, and what ErlPort and the bridge give to Elixir.
RESULTS = [
    ("None", Atom("undefined"), NIL),
    ("'text'", charlist("text"), b"text"),
    ("'€'", List((8364,)), "€".encode()),
    ("b'text'", b"text", b"text"),
    ("(1, 2)", (1, 2), List((1, 2))),
    ("[1, 2]", List((1, 2)), List((1, 2))),
    ("[True]", List((1,)), List((TRUE,))),
    ("{'a': 1}", Map(((charlist("a"), 1),)), Map(((b"a", 1),))),
    ("float('inf')", math.inf, Atom("infinity")),
]


@pytest.mark.parametrize("values", RESULTS, ids=[values[0] for values in RESULTS])
def test_each_row_of_the_table_of_results(values, erlport, bridge):
    source, from_erlport, from_bridge = values
    assert f"\n| `{source}` |" in GUIDE
    if not (IS_FORK and source.startswith("{")):
        assert same_term(erlport.call("evaluate", [source.encode()]), from_erlport)
    assert same_term(bridge.call("evaluate", [source.encode()]), from_bridge)


@pytest.mark.skipif(not IS_FORK, reason="newer releases know maps")
def test_the_fork_ends_when_it_meets_a_map(new):
    """Why rows with maps are left out above."""
    peer = new(start_erlport)
    with pytest.raises(TransportClosed, match="unsupported data"):
        peer.call("echo", [Map(((1, 2),))])


@pytest.mark.parametrize("other", [1.0, TRUE])
def test_of_two_keys_that_python_holds_equal_erlport_loses_one(other, erlport, bridge):
    term = Map(((1, b"a"), (other, b"b")))
    with pytest.raises(EncodeError, match="which are one key in Python"):
        bridge.call("echo", [term])
    if not IS_FORK:
        assert len(erlport.call("echo", [term]).pairs) == 1


@pytest.mark.parametrize("size", [0, 100_000, 4 << 20])
def test_binaries_of_any_size_arrive(side, size):
    assert side.call("size", [bytes(size)]) == size


@pytest.mark.parametrize("bits", [63, 64, 1000, 40_000])
def test_integers_of_any_size_come_back(side, bits):
    for number in (2**bits - 1, 2**bits, -(2**bits), -(2**bits) - 1):
        assert side.call("echo", [number]) == number


def test_arguments_are_positional_on_both(side):
    assert side.call("add", [1, 2]) == 3


# -- behaviour ------------------------------------------------------------------------------


@row("two calls at once")
def test_calls_run_at_once_or_one_after_the_other(new):
    for how, met in ((start_erlport, FALSE), (start_bridge, TRUE)):
        peer = new(how)
        waits = peer.request("wait_for_release", [SHORT_S if met == FALSE else 20.0])
        assert peer.call("release") == TRUE
        assert peer.result(waits) == met


@row("a caller whose time is up")
def test_a_call_that_lasts_too_long(new):
    erlport = new(start_erlport)
    erlport.request("wait_for_release", [20.0])
    behind = erlport.request("echo", [1])
    with pytest.raises(TimeoutError):
        erlport.result(behind, SHORT_S)
    bridge = new(start_bridge)
    with pytest.raises(DeadlineExceeded):
        bridge.call("wait_for_release", [20.0], timeout_ms=50)
    assert bridge.call("echo", [1]) == 1


@row("an unknown function")
def test_an_unknown_function(erlport, bridge):
    with pytest.raises(ErlPortError) as failed:
        erlport.call("nope")
    assert failed.value.type == "builtins.AttributeError"
    with pytest.raises(CallError) as failed:
        bridge.call("nope")
    assert (failed.value.code, failed.value.type) == ("not_found", None)


@row("what may be called")
def test_functions_that_nobody_marked(erlport, bridge):
    assert erlport.call("os:path.join", [b"a", b"b"]) == b"a/b"
    assert erlport.call("not_marked") == TRUE
    for name in ("os:path.join", "not_marked"):
        with pytest.raises(CallError) as failed:
            bridge.call(name)
        assert failed.value.code == "not_found"


@row("wrong arguments")
def test_arguments_that_do_not_fit(erlport, bridge):
    with pytest.raises(ErlPortError) as failed:
        erlport.call("add", [1])
    assert failed.value.type == "builtins.TypeError"
    with pytest.raises(CallError) as failed:
        bridge.call("add", [1])
    assert (failed.value.code, failed.value.started) == ("invalid_argument", False)
    assert "add(a, b)" in str(failed.value)


@row("an exception")
def test_an_exception(side):
    with pytest.raises(CallError) as failed:
        side.call("divide", [1, 0])
    assert (failed.value.type, str(failed.value)[-16:]) == (
        "builtins.ZeroDivisionError",
        "division by zero",
    )
    *_outer, inner = re.findall(r"line \d+, in (\w+)", "".join(failed.value.traceback))
    assert inner == "divide"
    assert side.call("add", [1, 2]) == 3


@row("`sys.exit()` in a function")
def test_a_function_that_exits(side):
    with pytest.raises(CallError) as failed:
        side.call("exits")
    assert failed.value.type == "builtins.SystemExit"
    assert side.call("add", [1, 2]) == 3


@row("`print`")
def test_what_is_printed(new):
    erlport = new(start_erlport)
    erlport.call("prints", [b"hello"])
    assert (erlport.printed, erlport.stderr) == ("hello\n", "")
    bridge = new(start_bridge)
    bridge.call("prints", [b"hello"])
    assert bridge.stderr == "hello\n"


@row("output of C libraries and child processes")
def test_what_is_written_to_descriptor_1(new):
    erlport = new(start_erlport)
    with pytest.raises(TransportClosed, match="not ErlPort's protocol: b'hello'"):
        erlport.call("prints_to_fd_1")
    bridge = new(start_bridge)
    assert bridge.call("prints_to_fd_1") == TRUE
    assert bridge.stderr == "hello from C\n"


@row("`input()`")
def test_reading_from_stdin(erlport, bridge):
    for peer, error in ((erlport, "io.UnsupportedOperation"), (bridge, "builtins.EOFError")):
        with pytest.raises(CallError) as failed:
            peer.call("reads_stdin")
        assert failed.value.type == error


@row("a result without a form")
def test_results_that_no_term_stands_for(erlport, bridge):
    opaque, language, pickle = erlport.call("evaluate", [b"{1}"])
    assert (opaque, language) == (Atom("$erlport.opaque"), Atom("python"))
    assert b"set" in pickle
    assert bridge.call("evaluate", [b"{1}"]) == List((1,))
    with pytest.raises(ErlPortError, match="unsupported data type"):
        erlport.call("evaluate", [b"lambda: 1"])
    with pytest.raises(CallError, match=r"result\[1\] cannot be encoded.*function"):
        bridge.call("evaluate", [b"[1, lambda: 1]"])


@row("a result that is NaN or infinite")
def test_floats_that_are_not_finite(erlport, bridge):
    """That the BEAM does not read such a float is tested in ``test_beam_terms.py``."""
    assert erlport.call("evaluate", [b"float('inf')"]) == math.inf
    assert bridge.call("evaluate", [b"float('inf')"]) == Atom("infinity")


@row("a frame that cannot be read")
def test_a_frame_that_cannot_be_read(new):
    erlport = new(start_erlport)
    erlport.send_frame(b"\x82nonsense")
    assert erlport.wait() == 1
    assert "ValueError: unknown protocol version" in erlport.stderr
    bridge = new(start_bridge)
    bridge.send_frame(b"\x82nonsense")
    assert bridge.notification("$/error")[0]["code"] == "invalid_argument"
    assert bridge.call("add", [1, 2]) == 3


@row("the VM is gone while a function runs")
def test_the_end_of_input_while_a_function_runs(new):
    erlport = new(start_erlport)
    erlport.request("wait_for_release", [60.0])
    erlport.close()
    with pytest.raises(TimeoutError):
        erlport.wait(2 * SHORT_S)
    bridge = new(start_bridge)
    bridge.request("wait_for_release", [60.0])
    bridge.close()
    bridge.wait()


# -- what is done in another way ----------------------------------------------------------------


@row("`erlang.call` from Python")
def test_python_calls_erlang(new):
    def on_call(module: str, function: str, arguments: tuple[Any, ...]) -> Any:
        if function == "reverse":
            return List(arguments[0].items[::-1])
        raise ValueError(f"no {module}:{function}")

    peer = new(start_erlport, on_call=on_call)
    assert peer.call("calls_erlang", [List((1, 2, 3))]) == List((3, 2, 1))
    assert b"no erlang:error" in peer.call("sees_error_of_erlang")


@row("`erlang.cast`, `python:cast/2`, message handlers")
def test_messages_without_an_answer(new):
    peer = new(start_erlport)
    peer.call("keeps_messages")
    peer.cast((Atom("hello"), PID))
    ((_hello, _pid),) = peer.call("messages").items
    peer.call("sends", [PID, List((b"a", 1))])
    peer.wait_until(lambda: peer.casts == [(PID, List((b"a", 1)))])
    peer.call("fails_on_messages")
    peer.cast(b"oops")
    peer.wait_until(lambda: bool(peer.faults))  # which ends ErlPort's Erlang side


@row("`set_encoder`, `set_decoder`")
def test_encoders_and_decoders(new):
    peer = new(start_erlport)
    peer.call("uppercases_text")
    assert peer.call("echo", [b"text"]) == b"TEXT"


# -- the guide ------------------------------------------------------------------------------


def test_every_difference_of_the_guide_is_tested():
    table = GUIDE.partition("## What differs")[2].partition("\n## ")[0]
    missing = GUIDE.partition("## What is done in another way")[2].partition("\n## ")[0]
    first = re.findall(r"^\| ([^|]+?) \|", table + missing, re.M)
    assert {cell for cell in first if cell != "---"} == ROWS


def blocks() -> dict[str, str]:
    """The Python of the guide by the name of its file."""
    found = re.findall(r"```python\n# (\w+/\w+\.py)\n(.*?)```", GUIDE, re.S)
    assert len(found) == 4
    return dict(found)


def test_the_suite_of_the_guide_passes_on_both_sides(tmp_path):
    for name, block in blocks().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(block)
    plugins = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "tests/test_both.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ERLPORT": ERLPORT},
        capture_output=True,
        text=True,
    )
    assert "4 passed" in run.stdout, run.stdout + run.stderr


def test_the_property_of_the_guide_holds():
    found: dict[str, Any] = {}
    exec(blocks()["tests/test_terms.py"], found)
    found["test_what_a_tool_receives"]()


def test_a_plain_peer_speaks_the_same_protocol(bridge):
    """``ElixirPeer`` adds the mapping of terms, nothing else."""
    assert isinstance(bridge, PortPeer)
    assert bridge.call("$/ping", [1]) == 1

"""The mapping of Erlang terms against the real BEAM, its real client and a real bridge."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from bridge.testing.erlang.external_terms import decode_term, encode_term, same_term
from bridge.testing.erlang.strategies import erlang_terms, sendable_terms
from bridge.testing.erlang.terms import (
    FALSE,
    TRUE,
    Atom,
    BitString,
    List,
    Map,
    Pid,
    after_echo,
    refusals,
    to_python,
)
from bridge.wire.codec import Encoder, decode_value
from bridge.wire.framing import HEADER_BYTES, encode_header
from tests.elixir_client import compiled_client
from tests.equality import deep_equal
from tests.processes import Processes, Shared
from tests.waiting import WAIT_S

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PID = Pid("nonode@nohost", 91, 0, 0)
EXAMPLES = settings(
    max_examples=60,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
    ],  # all are for one machine
)

pytestmark = pytest.mark.skipif(shutil.which("mix") is None, reason="Elixir is not installed")


class Beam:
    """A virtual machine that is asked, see ``beam_terms.exs``."""

    def __init__(self) -> None:
        script, client = str(HERE / "beam_terms.exs"), str(compiled_client() / "ebin")
        self._asked = 0
        self.process = subprocess.Popen(
            ["elixir", "--erl", "-noinput", "-pa", client, script, "adapters:Tools", str(HERE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "BRIDGE_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
        )

    def ask(self, data: bytes) -> Any:
        """The answer about a term in external form, or of Elixir source."""
        self._asked += 1
        self.process.stdin.write(encode_header(len(data)) + data)
        self.process.stdin.flush()
        size = int.from_bytes(self.process.stdout.read(HEADER_BYTES), "big")
        answer = self.process.stdout.read(size)
        self._asked -= 1
        return decode_term(answer)

    def settle(self) -> None:
        """It answers what it is asked, and nothing else comes."""
        assert not self._asked, "an answer was not read"
        assert self.process.poll() is None, "it has ended"

    def __exit__(self, *error: object) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(WAIT_S) in (0, -signal.SIGKILL)


@pytest.fixture(scope="module")
def beams(processes: Processes) -> Iterator[Shared[Beam]]:
    with Shared(processes, Beam, Beam.settle) as beams:
        yield beams


@pytest.fixture
def beam(beams: Shared[Beam], request: pytest.FixtureRequest) -> Iterator[Beam]:
    with beams.lend(request) as beam:
        yield beam


def in_order(value: Any) -> Any:
    """The value with the keys of its dicts in one order."""
    if isinstance(value, dict):
        return {key: in_order(item) for key, item in sorted(value.items(), key=repr)}
    return list(map(in_order, value)) if isinstance(value, list) else value


def holds_map(term: Any) -> bool:
    return b"t" in encode_term(term)  # or a "t" elsewhere: good enough


@EXAMPLES
@given(erlang_terms())
def test_the_beam_reads_and_writes_the_same_terms(beam, term):
    written, _packed, _echoed = beam.ask(encode_term(term))
    assert same_term(decode_term(written), term)
    if not holds_map(term):
        assert written == encode_term(term)


@EXAMPLES
@given(sendable_terms())
def test_what_the_client_packs_is_what_the_mapping_says(beam, term):
    _written, (kind, packed), _echoed = beam.ask(encode_term(term))
    assert kind == Atom("ok"), packed
    value = decode_value(packed)
    assert deep_equal(in_order(value), in_order(to_python(term)))
    assert Encoder().value(value) == packed  # both ends choose the same form of each number


@EXAMPLES
@given(sendable_terms())
def test_an_echo_comes_back_as_the_mapping_says(beam, term):
    _written, _packed, (kind, echoed) = beam.ask(encode_term(term))
    assert kind == Atom("ok"), echoed
    assert same_term(echoed, after_echo(term))


@EXAMPLES
@given(erlang_terms())
@example(Map(((Atom("a"), 1), (b"a", 2))))
@example(Map(((Atom("__struct__"), Atom("Elixir.Tools")),)))
@example(Map(((b"\x80", PID),)))
@example((Atom("bytes"), 5))
@example((Atom("bytes"), List((256,))))
@example(Map((((Atom("bytes"), List((b"a", 98))), BitString(b"\x80", 1)),)))
def test_the_client_refuses_what_the_mapping_refuses(beam, term):
    reasons = refusals(term)
    for kind, answer in beam.ask(encode_term(term))[1:]:
        assert kind == Atom("error" if reasons else "ok")
        if reasons:
            assert any(reason in answer.decode() for reason in reasons), (answer, reasons)


@pytest.mark.parametrize(
    "keys",
    [
        *((1, 1.0), (1, TRUE), (0, FALSE), (b"\xff", (Atom("bytes"), b"\xff"))),
        *((2**53, 2.0**53), (2**60, 2.0**60), (2**1000, 2.0**1000), (0.0, FALSE)),
    ],
)
def test_two_keys_that_python_holds_equal_are_refused(beam, keys):
    term = Map(tuple((key, index) for index, key in enumerate(keys)))
    assert refusals(term) == {"which are one key in Python"}
    for kind, message in beam.ask(encode_term(term))[1:]:
        assert kind == Atom("error")
        assert message.endswith(b", which are one key in Python")


@pytest.mark.parametrize("keys", [(2**53 + 1, 2.0**53), (2**60 + 1, 2.0**60), (1, 1.5), (2, TRUE)])
def test_keys_that_python_holds_apart_come_back(beam, keys):
    term = Map(tuple((key, index) for index, key in enumerate(keys)))
    assert not refusals(term)
    _written, _packed, (kind, echoed) = beam.ask(encode_term(term))
    assert kind == Atom("ok")
    assert len(echoed.pairs) == len(set(keys)) == 2


def test_the_beam_reads_no_float_that_is_not_finite(beam):
    """ErlPort sends them, and its Erlang side ends; hence the bridge's own atoms."""
    kind, _message = beam.ask(b"\x83F\x7f\xf8" + bytes(6))
    assert kind == Atom("error")


def test_the_elixir_of_the_guide_works(beam, tmp_path):
    guide = (ROOT / "docs" / "coming-from-erlport.md").read_text()
    (tools,) = re.findall(r"```python\n# python/bridge_stats.py\n(.*?)```", guide, re.S)
    (snippet,) = re.findall(r"```elixir\n# with the bridge\n(.*?)```", guide, re.S)
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "bridge_stats.py").write_text(tools)
    assert beam.ask(f'File.cd!("{tmp_path}")\n{snippet}'.encode()) == Atom("ok")

"""The same calls to Snakepit's own worker, whose answers were recorded, and to this one.

The oracle is in ``tests/vectors/snakepit/``: bytes that the workers of 0.6.0, 0.10.0 and 0.13.0
sent (``snakepit_recorder.py``), of the tags with these names in
https://github.com/nshkrdotcom/snakepit. What differs on purpose stands in ``BETTER``, with the
reason; everything else is the same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

grpc = pytest.importorskip("grpc")

from bridge._generated import snakepit_bridge_pb2 as pb  # noqa: E402
from tests.processes import Processes, Shared  # noqa: E402

from .snakepit_contract import CALLS  # noqa: E402
from .snakepit_peer import ElixirSide, Snakepit, write_application  # noqa: E402
from .snakepit_recorder import LIMITS, VECTORS, ask, elixir_tools  # noqa: E402

HERE = Path(__file__).parent
VERSIONS = {path.stem: json.loads(path.read_text()) for path in VECTORS.glob("*.json")}
NEWEST = "0.13.0"

#: What is better here than in Snakepit's worker, by the tool and its argument: what comes instead.
#: (With the least version to which that applies.)
BETTER: dict[tuple[str, str], tuple[tuple[int, int, int], Any]] = {
    # numbers and nil keep their type; Snakepit: 7.0, 1.0 in 0.6.0, and the text "None"
    ("give", "int"): ((0, 6, 0), 7),
    ("give", "true"): ((0, 6, 0), True),
    ("give", "none"): ((0, 6, 0), None),
    # bytes are bytes, where the response has room for them; Snakepit: the text of their repr
    ("give", "bytes at the top"): ((0, 6, 11), b"\x00"),
}


def key_of(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["tool"], entry["arguments"].get("what", "")


def read_answer(entry: dict[str, Any]) -> Any:
    """What Elixir would see of the answer to a recorded or a live call."""
    messages = [base64.b64decode(message) for message in entry["messages"]]
    if entry["method"] == "ExecuteStreamingTool":
        chunks = [read_chunk(pb.ToolChunk.FromString(message)) for message in messages]
        return chunks, read_status(entry.get("status"))
    response = pb.ExecuteToolResponse.FromString(messages[0])
    if not response.success:
        return "error", read_error(response.error_message)
    return "result", response.binary_result or read_json(response.result.value)


def read_chunk(chunk: Any) -> Any:
    metadata = dict(chunk.metadata)
    return chunk.chunk_id, read_json(chunk.data), chunk.is_final, metadata


def read_status(status: Any) -> Any:
    return None if status is None else (status[0], read_error(status[1]))


def read_json(data: bytes) -> Any:
    """As Elixir: JSON, or the bytes themselves if they are none."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        return json.loads(data, parse_constant=refuse)
    except ValueError:
        return data


def read_error(text: str) -> Any:
    """An error: its text, or its parts, without the lines that name files."""
    if not text.startswith("{"):
        return text
    error = json.loads(text)
    error["context"].pop("code", None)  # which Snakepit's worker does not tell
    assert error["stacktrace"], "there is a traceback, as far as it was recorded"
    last = error["traceback"].splitlines()[-1]
    return error["type"], error["message"], last, error["context"]


@pytest.fixture(scope="module")
def workers(
    processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shared[Snakepit]]:
    with ElixirSide(**elixir_tools()) as elixir:

        def start(version: str) -> Snakepit:
            numbers = tuple(map(int, version.split(".")))
            directory = tmp_path_factory.mktemp("app") / "priv" / "python"
            directory.mkdir(parents=True)
            write_application(directory, version)
            program = (HERE / "snakepit_contract.py").read_text()
            (directory / "snakepit_contract.py").write_text(program)
            return Snakepit(
                numbers, "--adapter", "snakepit_contract.Contract", directory=directory,
                elixir_address=elixir.address, env=LIMITS,
            )  # fmt: skip

        with Shared(processes, start, lambda worker: worker.ping()) as workers:
            yield workers


@pytest.mark.parametrize("version", VERSIONS)
def test_the_answers_are_those_of_snakepits_own_worker(workers, request, version):
    recorded = VERSIONS[version]["runs"][""]["calls"]
    newest = {key_of(entry): read_answer(entry) for entry in VERSIONS[NEWEST]["runs"][""]["calls"]}
    different = {}
    with workers.lend(request, version) as worker:
        for call, entry in zip(CALLS, recorded, strict=True):
            assert (entry["method"], entry["tool"], entry["arguments"]) == call[:3]
            found = read_answer(ask(worker.port, worker.version, call))
            expected = expect(worker.version, entry, newest)
            if found != expected and not better_in(version, entry, found):
                different[str(call)] = (found, expected)
    assert not different, different


def expect(version: Any, entry: dict[str, Any], newest: dict[Any, Any]) -> Any:
    """The recorded answer, but for what is better here, and for refusals of earlier versions."""
    recorded = read_answer(entry)
    least, better = BETTER.get(key_of(entry), ((1, 0, 0), None))
    if version >= least:
        return "result", better
    if entry["tool"] == "give" and (recorded[0] == "error" or type(recorded[1]) is bytes):
        # what 0.11.0 came to answer, earlier ones refuse, or send what is no JSON
        return newest[key_of(entry)]
    return recorded


def better_in(version: str, entry: dict[str, Any], found: Any) -> bool:
    """Whether the recorded worker of 0.6.0 fails, with today's gRPC or by itself, and this does not."""
    if version != "0.6.0":
        return False
    status = entry.get("status")
    if status is not None:
        # its streams: "'async_generator' object is not iterable"
        chunks, error = found
        return status[0] == "UNKNOWN" and (chunks[-1][2] or error is not None)
    # it unpickles what is sent, knows no metadata, and cannot take a text from Elixir's tools
    return found[0] == "result" and read_answer(entry)[0] == "error"


def test_in_0_6_the_data_of_a_final_chunk_comes_before_it(workers, request):
    """0.6.0 to 0.6.3 do not look at the data of a final chunk (lib/snakepit/adapters/grpc_python.ex)."""
    call = ("ExecuteStreamingTool", "stream", {"what": "final chunk"}, {})
    with workers.lend(request, "0.6.0") as worker:
        chunks, error = read_answer(ask(worker.port, worker.version, call))
    assert error is None
    assert [(data, final) for _, data, final, _ in chunks] == [
        ({"a": 1}, False), ({"b": 2}, False), (b"", True),
    ]  # fmt: skip

"""What is generated fits the definitions, and the definitions explain themselves."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parents[1]
GENERATED = ROOT / "bridge" / "_generated"
PROTO = (ROOT / "protos" / "bridge.proto").read_text()
#: What begins a definition, and what a field or method is called.
DEFINITION = re.compile(r"^\s*(?:(?:message|service|oneof|rpc) (\w+)|.*\b(\w+) = \d+;)")
#: Names that say it all, or that the comment of their message explains.
OBVIOUS = {
    *("Bridge", "Progress.done", "CallResponse.result", "ListToolsResponse.tools", "Tool.name"),
    *("LogRecord.text", "Parameter.name", "Parameter.required"),
    *("ListToolsRequest", "ListToolsResponse", "GetStatsRequest", "GetStatsResponse"),
    *("GetStacksRequest", "GetStacksResponse"),
    *("Payload.form", "StreamResponse.kind"),
}


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="the pinned generator has no wheel there")
def test_what_is_generated_fits_the_definitions(tmp_path):
    pytest.importorskip("grpc", reason="the generator has no wheel where grpcio has none")
    subprocess.run(
        [ROOT / "scripts" / "gen-protos", tmp_path],
        check=True,
        env={**os.environ, "BRIDGE_PYTHON": sys.executable},
    )
    fresh = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    checked_in = {path.name: path.read_text() for path in GENERATED.iterdir() if path.is_file()}
    assert fresh.keys() == checked_in.keys()
    different = [name for name, text in fresh.items() if checked_in[name] != text]
    assert not different, "run scripts/gen-protos"


def definitions():
    """Each message, field and method: its name, and whether there is a comment above it."""
    found, scopes, previous = {}, [], ""
    for line in PROTO.splitlines():
        match = DEFINITION.match(line)
        if match and not line.lstrip().startswith("//"):
            name = match[1] or match[2]
            named = [scope for scope in scopes if scope]
            found[".".join([*named[:1], name])] = previous.lstrip().startswith("//")
        if line.rstrip().endswith("{"):
            scopes.append(match[1] if match else None)
        elif line.strip() == "}":
            scopes.pop()
        previous = line
    return found


def test_every_message_field_and_method_is_explained():
    found = definitions()
    assert {"Bridge.Call", "Payload.json", "StreamResponse.progress", "GetStatsRequest"} <= set(
        found
    )
    assert len(found) > 35
    silent = {name for name, explained in found.items() if not explained}
    assert silent <= OBVIOUS, "a comment is missing"


def test_the_service_of_the_definitions_is_the_one_that_is_generated():
    pytest.importorskip("google.protobuf")
    from bridge._generated import bridge_pb2 as pb

    service = pb.DESCRIPTOR.services_by_name["Bridge"]
    methods = re.findall(r"rpc (\w+)\((\w+)\) returns \((stream )?(\w+)\)", PROTO)
    assert [
        (m.name, m.input_type.name, "stream " if m.server_streaming else "", m.output_type.name)
        for m in service.methods
    ] == methods

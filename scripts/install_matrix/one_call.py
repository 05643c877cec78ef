"""Starts each transport of the installed bridge and makes one call; run by that installation.

    python -I one_call.py FOLDER    # FOLDER holds plain_tools.py

Writes a JSON object to stdout: what became of each transport, ``answered`` or what went wrong. The
clients are as small as can be and share no code with the bridge: the frames of ``protos/stdio.md``
on real pipes, and ``grpcio`` with the messages that the package has.
"""

import json
import os
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec

import msgpack

#: For a start, its call and its end, in seconds: a machine may be busy.
LIMIT_S = 60
ANSWERED = "answered"
BIN = os.path.dirname(sys.executable)


class Failed(Exception):
    """A transport does not serve, and why."""


@contextmanager
def started(folder, command):
    """The process of a command line, ended with its stdin. Raises ``Failed`` if it ends badly."""
    errors = os.path.join(folder, "stderr")
    with open(errors, "w+") as stderr:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        )
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            yield process
            process.stdin.close()
            status = process.wait()
            if status:
                raise Failed(f"the process ended with status {status}")
        except Exception as error:
            process.kill()
            process.wait()
            stderr.seek(0)
            said = stderr.read().strip()
            raise Failed(said or repr(error)) from error
        finally:
            limit.cancel()
            limit.join()
            process.stdout.close()


# -- clients ------------------------------------------------------------------------------------


def receive(process):
    """The next message of the bridge."""
    header = process.stdout.read(4)
    if len(header) < 4:
        raise Failed("the pipe ended")
    return msgpack.unpackb(process.stdout.read(struct.unpack(">I", header)[0]))


def call_stdio(process, tool, arguments):
    """The result of a call over the pipes."""
    data = msgpack.packb([0, 1, tool, arguments])
    process.stdin.write(struct.pack(">I", len(data)) + data)
    process.stdin.flush()
    while True:
        kind, *rest = receive(process)
        if kind == 1:
            _, error, result = rest
            if error is not None:
                raise Failed(str(error))
            return result


def read_port(process):
    """The port that a process announces on stdout."""
    for line in process.stdout:
        word, _, port = line.decode().strip().partition("GRPC_READY:")
        if port and not word:
            return int(port)
    raise Failed("stdout ended before GRPC_READY")


def call_grpc(port):
    """The sum of 1 and 2, after a health check."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from bridge._generated import bridge_pb2 as pb

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service="bridge.v1.Bridge")
        assert health.Check(asked, timeout=LIMIT_S).status == 1, "the health check"
        assert next(iter(health.Watch(asked, timeout=LIMIT_S))).status == 1, "the health watch"
        if hasattr(health, "List"):
            statuses = health.List(health_pb2.HealthListRequest(), timeout=LIMIT_S).statuses
            assert statuses["bridge.v1.Bridge"].status == 1, "the health list"
        call = channel.unary_unary(
            "/bridge.v1.Bridge/Call",
            request_serializer=pb.CallRequest.SerializeToString,
            response_deserializer=pb.CallResponse.FromString,
        )
        payload = pb.Payload(msgpack=msgpack.packb([1, 2]))
        response = call(pb.CallRequest(tool="add", params=payload), timeout=LIMIT_S)
        return msgpack.unpackb(response.result.msgpack)


def call_snakepit(port):
    """The sum of 1 and 2, asked for as Snakepit does."""
    import grpc

    from bridge._generated import snakepit_bridge_pb2 as pb

    request = pb.ExecuteToolRequest(session_id="s", tool_name="add")
    for name, value in (("a", b"1"), ("b", b"2")):
        request.parameters[name].value = value
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        call = channel.unary_unary(
            "/snakepit.bridge.BridgeService/ExecuteTool",
            request_serializer=pb.ExecuteToolRequest.SerializeToString,
            response_deserializer=pb.ExecuteToolResponse.FromString,
        )
        response = call(request, timeout=LIMIT_S)
    if not response.success:
        raise Failed(response.error_message)
    return json.loads(response.result.value)


# -- transports ---------------------------------------------------------------------------------

SERVE = ("--adapter", "plain_tools:PlainTools", "--max-workers", "2")


def stdio(folder):
    command = [sys.executable, "-P", "-m", "bridge", *SERVE]
    with started(folder, command) as process:
        check(call_stdio(process, "add", [1, 2]), 3)
        if find_spec("numpy"):
            array = call_stdio(process, "array", [])
            check(type(array), msgpack.ExtType)


def grpc_alone(folder):
    command = [os.path.join(BIN, "beam-bridge"), *SERVE, "--transport", "grpc", "--port", "0"]
    with started(folder, [*command, "--reflection"]) as process:
        check(call_grpc(read_port(process)), 3)


def both(folder):
    command = [os.path.join(BIN, "bridge"), *SERVE, "--transport", "stdio,grpc", "--port", "0"]
    with started(folder, command) as process:
        kind, method, (ready,) = receive(process)
        check((kind, method), (2, "$/ready"))
        check(call_stdio(process, "add", [1, 2]), 3)
        check(call_grpc(ready["grpc_port"]), 3)


def snakepit(folder):
    script = os.path.join(folder, "grpc_server.py")
    adapter = ["--adapter", "plain_tools.PlainTools", "--max-workers", "2"]
    with started(folder, [os.path.join(BIN, "bridge-snakepit"), script, *adapter]) as process:
        check(call_snakepit(read_port(process)), 3)


def check(got, expected):
    if got != expected:
        raise Failed(f"the answer was {got!r}")


TRANSPORTS = {"stdio": stdio, "grpc": grpc_alone, "stdio,grpc": both, "snakepit": snakepit}


def main():
    outcomes = {}
    for name, run in TRANSPORTS.items():
        began = time.monotonic()
        try:
            run(sys.argv[1])
            outcome = ANSWERED
        except Failed as error:
            outcome = str(error)
        outcomes[name] = [outcome, round(time.monotonic() - began, 2)]
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()

"""What is measured of the processes themselves: the time to start, and memory. Linux for the latter."""

from __future__ import annotations

import os
import select
import statistics
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgpack

from .drivers import DriverFailed, environment
from .subjects import ROOT, Subject

_PATIENCE_S = 30.0
_MIB = 1 << 20


class Process:
    """A subject as its users' programs start it, and the bytes that come from it."""

    def __init__(self, command: list[str], env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={**environment(), **(env or {})},
            bufsize=0,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        if process.poll() is None:
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, data: bytes) -> None:
        """All of it; blocks until the process has taken it."""
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) :]

    def read_some(self) -> bytes:
        """What has come; blocks for the first byte. Raises ``DriverFailed`` at the end."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE_S)
        data = os.read(self._process.stdout.fileno(), 1 << 20) if ready else b""
        if not data:
            raise DriverFailed(f"no answer from {' '.join(self._process.args[:4])}")  # type: ignore[index]
        return data

    def read_frames(self, count: int, wanted: Callable[[bytes], bool]) -> None:
        """Read until so many of the frames that are wanted have come, by their first bytes."""
        buffer = bytearray()
        skip = 0
        while count:
            data = self.read_some()
            if skip >= len(data):
                skip -= len(data)
                continue
            buffer += memoryview(data)[skip:]
            skip = 0
            while len(buffer) >= 8:
                size = 4 + int.from_bytes(buffer[:4], "big")
                count -= wanted(bytes(buffer[4:8]))
                skip = max(size - len(buffer), 0)
                del buffer[:size]

    def wait_for_end(self) -> None:
        self._process.wait()  # without a time-out, for which it would look now and then

    def pss_mib(self) -> float:
        """Its memory; what several share counts for each in part."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return _field(text, "Pss:") / 1024

    def rss_mib(self, field: str = "VmRSS:") -> float:
        return _field(Path(f"/proc/{self.pid}/status").read_text(), field) / 1024

    def forget_peak(self) -> None:
        """Let VmHWM begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


def _field(text: str, name: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))


def _frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _request(subject: Subject, msgid: int, tool: str, value: Any) -> bytes:
    if subject.dialect == "erlport":
        return _frame(_erlport_request(msgid, tool, value))
    return _frame(msgpack.packb([0, msgid, tool, [value]]))


def _erlport_request(msgid: int, tool: str, value: Any) -> bytes:
    def atom(name: str) -> bytes:
        return b"\x64" + len(name).to_bytes(2, "big") + name.encode()

    if isinstance(value, bytes):
        term = b"\x6d" + len(value).to_bytes(4, "big") + value
    else:
        term = b"\x46" + struct.pack(">d", value)
    head = b"\x83\x68\x05" + atom("C") + b"\x62" + msgid.to_bytes(4, "big")
    return head + atom("tools_for_erlport") + atom(tool) + b"\x6c\0\0\0\x01" + term + b"\x6a"


def _is_answer(subject: Subject) -> Callable[[bytes], bool]:
    if subject.dialect == "erlport":
        return lambda head: head[:2] == b"\x83\x68"
    return lambda head: head[:2] == b"\x94\x01"


def _environment(subject: Subject) -> dict[str, str]:
    # ErlPort's Erlang half puts the tools on the path of the Python half
    if subject.dialect != "erlport":
        return {}
    from .subjects import PROGRAMS

    return {"PYTHONPATH": str(PROGRAMS)}


def startup(subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:
    """Milliseconds from the start until it serves: the median of some starts.

    The bridge says so itself (``$/ready``, ``GRPC_READY``), the bare programs and ErlPort are asked
    for an answer. The subject ``python`` is ``python -c "import msgpack"``, until it has ended.
    """
    times, memory = [], 0.0
    env = {"BENCH_TOOLS": str(options.get("tools", 1)), **_environment(subject)}
    for _ in range(options["starts"]):
        adapter = options.get("adapter", "trivial_tools:Trivial")
        started = time.perf_counter()
        if subject.kind == "python":
            assert subject.python is not None
            with Process([subject.python.path, "-c", "import msgpack"], env) as process:
                process.wait_for_end()
                times.append((time.perf_counter() - started) * 1000)
            continue
        with Process(subject.command(adapter=adapter), env) as process:
            if subject.single:
                process.write(_request(subject, 1, "echo", 1.0))
            process.read_some()
            times.append((time.perf_counter() - started) * 1000)
            memory = process.rss_mib()
    return {"ms": statistics.median(times), "rss_mib": memory}


def memory(subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:
    """MiB of all processes together when so many calls run at once, by two layouts.

    Many processes of one thread, at most 16 of them; and, for what has threads, processes of up to
    16 threads.
    """
    alone = [[n, _memory(subject, n, 1)] for n in options["units"] if n <= 16]
    if subject.single:
        return {"mib_per_call": alone[-1][1] / alone[-1][0], "processes": alone}
    threads = [[n, _memory(subject, max(n // 16, 1), min(n, 16))] for n in options["units"]]
    at_16 = next(mib for n, mib in threads if n == 16)
    return {
        "mib_per_call": at_16 / 16,
        "mib_per_process": alone[-1][1] / alone[-1][0],
        "processes": alone,
        "threads": threads,
    }


def _memory(subject: Subject, processes: int, workers: int) -> float:
    running: list[Process] = []
    try:
        env = _environment(subject)
        for _ in range(processes):
            running.append(Process(subject.command(workers=workers), env))
        for process in running:
            # on each worker a call, so that its thread is there
            for msgid in range(1, workers + 1):
                process.write(_request(subject, msgid, "sleep", 0.02))
        for process in running:
            process.read_frames(workers, _is_answer(subject))
        return sum(process.pss_mib() for process in running)
    finally:
        for process in running:
            process.__exit__()


def payload_memory(subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:
    """How far memory rises above its resting state while a payload is echoed, over its size.

    Once as one message and, unless it takes one call at a time, as several that are all in tools
    at the same time.
    """
    size = options["mib"] * _MIB
    parts = options["parts"]
    figures = {"times_payload": _payload_memory(subject, "echo", 1, size) * _MIB / size}
    if not subject.single:
        rise = _payload_memory(subject, "hold", parts, size // parts)
        figures["times_payload_parts"] = rise * _MIB / size
    return figures


def _payload_memory(subject: Subject, tool: str, count: int, size: int) -> float:
    with Process(subject.command(workers=count), _environment(subject)) as process:
        answers = _is_answer(subject)
        for msgid in range(1, 20):
            process.write(_request(subject, msgid, "echo", b"small"))
            process.read_frames(1, answers)
        requests = [_request(subject, msgid, tool, bytes(size)) for msgid in range(1, count + 1)]
        before = process.rss_mib()
        process.forget_peak()
        writer = threading.Thread(
            target=lambda: [process.write(data) for data in requests], daemon=True
        )
        writer.start()
        process.read_frames(count, answers)
        writer.join(_PATIENCE_S)
        return process.rss_mib("VmHWM:") - before


JOBS: dict[str, Callable[[Subject, Mapping[str, Any]], dict[str, Any]]] = {
    "startup": startup,
    "memory": memory,
    "payload_memory": payload_memory,
}

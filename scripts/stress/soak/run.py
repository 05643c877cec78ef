"""Start the bridge and its clients, watch them, and end them: the soak from the outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .histogram import Histogram
from .phases import ALONE, Phases
from .vitals import Control, Vitals, look_at

ROOT = Path(__file__).parents[3]
_LOOK_S = 0.1
_SAMPLE_S = 1.0
#: So much may gRPC be ahead of its share: some calls for each of its callers.
_AHEAD = 100
_START_S = 30.0
#: A client waits for its last answers itself, and not longer than this.
_END_S = 60.0


@dataclass
class Wish:
    """What to soak. It ends after ``seconds`` or ``calls``, whatever comes first.

    ``stdio_share``: of all calls, if gRPC can keep up with the rest. ``bridge``: further options of
    the bridge's command line.
    """

    seconds: float | None
    calls: int | None
    seed: str
    grpc: bool
    stdio_share: float
    cycle_s: float
    workers: int
    queue: int
    bridge: list[str] = field(default_factory=list)
    python: str = sys.executable


@dataclass
class Sample:
    """One second of the run. ``calls`` and ``outcomes`` are those since its begin."""

    elapsed_s: float
    calls: int
    vitals: Vitals
    #: Nothing but a ping and some quick calls in flight: memory can be compared.
    quiet: bool
    echo: dict[str, Histogram]


class Client:
    """A load in a process of its own, that reports as JSON lines."""

    def __init__(self, module: str, wish: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        self.ledger: dict[str, Any] | None = None
        self.said: dict[str, Any] = {}
        #: What the bridge said of its memory, with the instant.
        self.memory: list[dict[str, float]] = []
        self.heard = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(wish)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=fds,
            cwd=ROOT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, message: dict[str, Any]) -> None:
        """Send it a line; nothing happens if it has gone."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def wait_for(self, word: str, seconds: float) -> Any:
        """Wait until it says ``word``, and return what; None if it does not."""
        with self.heard:
            self.heard.wait_for(lambda: word in self.said or "gone" in self.said, seconds)
            return self.said.get(word)

    @property
    def calls(self) -> int:
        """How many calls were answered."""
        return self.ledger["calls"] if self.ledger else 0

    @property
    def echo(self) -> Histogram:
        """Latencies of the quick echo so far."""
        return Histogram.from_json(self.ledger["echo"]) if self.ledger else Histogram()

    def kill(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            with self.heard:
                self.ledger = message.pop("ledger", self.ledger)
                if "memory" in message:
                    self.memory.append(message.pop("memory"))
                self.said.update(message)
                self.heard.notify_all()
        with self.heard:
            self.said["gone"] = True
            self.heard.notify_all()


class Soak:
    """One run. ``watch`` is called with every sample; then ``end`` must be called, whatever happens."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.samples: list[Sample] = []
        self.clients: dict[str, Client] = {}
        self.stats: dict[str, Any] | None = None
        #: What is wrong beside the calls.
        self.faults: list[str] = []
        self.elapsed_s = 0.0
        self._stderr = tempfile.TemporaryFile()
        self._bridge: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the bridge and its clients. Raises ``SystemExit`` if they do not."""
        wish = self.wish
        child_in, sink = os.pipe()
        source, child_out = os.pipe()
        self._bridge = subprocess.Popen(
            [
                wish.python, "-m", "bridge", "--adapter", "scripts.stress.soak.tools:Tools",
                "--app-dir", str(ROOT), "--max-workers", str(wish.workers),
                "--max-queue", str(wish.queue),
                *(["--transport", "stdio,grpc", "--port", "0"] if wish.grpc else []),
                *wish.bridge,
            ],
            stdin=child_in,
            stdout=child_out,
            stderr=self._stderr,
            start_new_session=True,
            restore_signals=False,  # Python itself ignores SIGPIPE, and so will the child
            cwd=ROOT,
        )  # fmt: skip
        fds = {"sink": sink, "source": source}
        stdio = Client("scripts.stress.soak.stdio_load", {**fds, "seed": wish.seed}, (sink, source))
        self.clients["stdio"] = stdio
        for descriptor in (child_in, child_out, sink, source):
            os.close(descriptor)
        ready = stdio.wait_for("ready", _START_S)
        if ready is None:
            raise SystemExit(f"the bridge does not start:\n{self.stderr}")
        self._began = time.monotonic()
        clock = {"began": self._began, "cycle_s": wish.cycle_s}
        self._phases = Phases(**clock)
        self.control = Control(self._phases)
        if wish.grpc:
            address = {"address": f"127.0.0.1:{ready['grpc_port']}"}
            self.clients["grpc"] = Client(
                "scripts.stress.soak.grpc_load", {**address, **clock, "seed": wish.seed}
            )
        stdio.tell(clock)

    def run(self, watch: Callable[[Sample], object]) -> None:
        """Until it has had its time or its calls, or a process ends."""
        wish, next_sample = self.wish, 0.0
        was_alone = False
        while not any("gone" in client.said for client in self.clients.values()):
            time.sleep(_LOOK_S)
            self._share_out()
            now = time.monotonic()
            elapsed = now - self._began
            # for some time already: what was in flight is answered
            alone = all(self._phases.at(t)[0] == ALONE for t in (now - _LOOK_S, now))
            if elapsed >= next_sample or (alone and not was_alone):
                self._sample(elapsed, alone, watch)
                next_sample = elapsed + _SAMPLE_S
            was_alone = alone
            if wish.seconds is not None and elapsed >= wish.seconds:
                return
            if wish.calls is not None and self.calls >= wish.calls:
                return
        self.faults.append("a process ended before its time")

    def end(self) -> None:
        """Let the clients have their last answers, and end the bridge. Again: kills what is left."""
        assert self._bridge is not None
        stdio, grpc = self.clients["stdio"], self.clients.get("grpc")
        self.elapsed_s = time.monotonic() - self._began
        for client in self.clients.values():
            client.tell({"end": True})
        if grpc is not None and grpc.wait_for("last", _END_S) is None:
            self.faults.append("the gRPC client does not end")
        self.stats = stdio.wait_for("stats", _END_S)
        if self.stats is None:
            self.faults.append("the stdio client does not end")
        stdio.tell({"shut": "down"})
        stdio.wait_for("last", _END_S)
        self.control.end()
        try:
            status = self._bridge.wait(_END_S)
            if status:
                self.faults.append(f"the bridge ended with {status}")
        except subprocess.TimeoutExpired:
            self.faults.append("the bridge does not end")

    def kill(self) -> None:
        """Leave no process behind."""
        for client in self.clients.values():
            client.kill()
        if self._bridge is not None:
            self._bridge.kill()
            self._bridge.wait()

    def series(self, name: str) -> list[tuple[float, float]]:
        """How a figure went while nearly nothing was in flight: seconds since the begin, value.

        ``name``: of ``Vitals``, or of what the tool ``memory`` says.
        """
        if name in Vitals.__annotations__:
            quiet = [sample for sample in self.samples if sample.quiet] or self.samples
            return [(sample.elapsed_s, getattr(sample.vitals, name)) for sample in quiet]
        said = self.clients["stdio"].memory
        return [(memory["at"] - self._began, memory[name]) for memory in said if name in memory]

    @property
    def calls(self) -> int:
        """How many calls were answered, over all transports."""
        return sum(client.calls for client in self.clients.values())

    @property
    def stderr(self) -> str:
        """What the bridge has written there: the end of it."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")[-4000:]

    # -- parts ------------------------------------------------------------------------------

    def _share_out(self) -> None:
        if "grpc" in self.clients:
            share = self.wish.stdio_share
            may = self.clients["stdio"].calls * (1 - share) / share if share else 1e12
            self.clients["grpc"].tell({"allow": int(may) + _AHEAD})

    def _sample(self, elapsed: float, quiet: bool, watch: Callable[[Sample], object]) -> None:
        assert self._bridge is not None
        vitals = look_at(self._bridge.pid) or Vitals(time.monotonic(), 0.0, 0, 0, 0.0)
        echo = {name: client.echo for name, client in self.clients.items()}
        sample = Sample(elapsed, self.calls, vitals, quiet, echo)
        self.samples.append(sample)
        watch(sample)

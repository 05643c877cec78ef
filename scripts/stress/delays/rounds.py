"""One round: a process with delays, the load on it, its end, and what is to be seen after it."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError
from bridge.testing import PortPeer

from .mix import LATE_S, Caller, Record

TRANSPORTS = ("stdio", "grpc")
#: How a round ends: idle, or in the middle of the load.
_ENDS = ("idle", "idle", "drain", "terminate", "client gone")
#: With few of them nothing that comes later sets right what was forgotten.
_CALLERS = (1, 1, 2, 8)
_GRACE_S = 1.0
_START_S = 60.0
#: How long a process may take beyond its grace, here.
_EXIT_S = 15.0
_LOOK_S = 0.02
#: What a process says on stderr if something is wrong with its code.
_SIGNS = ("Traceback", "Fatal Python error")


class Round:
    """``faults``: what was wrong; ``says``: what was done, in one line.

    Args:
        transport: of ``TRANSPORTS``.
        seed: of everything that is drawn.
        copy: the directory with the copy.
        seconds: how long the load lasts.
    """

    def __init__(self, transport: str, seed: str, copy: Path, seconds: float) -> None:
        self._random = random.Random(seed)
        self._seed = seed
        self._stdio = transport == "stdio"
        self._seconds = seconds
        self._copy = copy
        self._end = self._random.choice(_ENDS)
        self._callers = self._random.choice(_CALLERS)
        self._workers = self._random.choice((1, 2, 4, 16))
        self._options = self._draw_options()
        self._record = Record()
        self._tokens = itertools.count(1)

    @property
    def faults(self) -> list[str]:
        return self._record.faults

    @property
    def says(self) -> str:
        outcomes = ", ".join(f"{code} {n}" for code, n in sorted(self._record.outcomes.items()))
        return f"{self._end:11} {self._callers} callers {' '.join(self._options)}: {outcomes}"

    def run(self) -> None:
        """Do it all, once. What is wrong is in ``faults``."""
        with self._start() as peer:
            try:
                self._load(peer)
            except (BridgeError, TimeoutError, AssertionError, OSError) as error:
                self.faults.append(f"{type(error).__name__}: {error}")
            if self.faults and peer.exit_status is None:
                peer.kill(signal.SIGABRT)  # faulthandler shows where every thread is
                peer.wait(_EXIT_S)
            stderr = peer.stderr
        if self.faults or any(sign in stderr for sign in _SIGNS):
            self.faults.append(f"stderr:\n{stderr}")

    # -- the process --------------------------------------------------------------------------

    def _draw_options(self) -> list[str]:
        draw = self._random
        options = ["--max-workers", str(self._workers)]
        options += ["--max-queue", str(draw.choice([2, 64, 1024]))]
        options += ["--max-async", str(draw.choice([2, 300]))]
        if draw.random() < 0.3:
            options += ["--interrupt-abandoned", "0.003"]
        if self._stdio and draw.random() < 0.2:
            options += ["--no-inline"]
        return options

    def _start(self) -> PortPeer:
        arguments = ["--adapter", "delayed_tools:Tools", "--app-dir", str(self._copy)]
        arguments += ["--grace", str(_GRACE_S), *self._options]
        env = {"PYTHONPATH": str(self._copy), "BRIDGE_DELAYS_SEED": self._seed}
        if self._stdio:
            return PortPeer(
                *arguments,
                env=env,
                cwd=str(self._copy),
                ready_timeout_s=_START_S,
                remember_bytes=None,
                functions={"same": lambda token: token, "through_a_tool": self._through_a_tool},
            )
        from tests.integration.grpc_peer import GrpcPeer

        return GrpcPeer(*arguments, env=env, cwd=str(self._copy))

    def _through_a_tool(self, token: int) -> int:
        """A function for tools of the process, which calls another tool."""
        inner = next(self._tokens)
        peer = self._peer
        assert peer is not None
        if peer.call("quick", [inner]) != inner:
            self.faults.append(f"a nested call of {token} went wrong")
        return token

    _peer: PortPeer | None = None

    # -- the load -----------------------------------------------------------------------------

    def _load(self, peer: PortPeer) -> None:
        self._peer = peer
        end = time.monotonic() + self._seconds
        threads = []
        for number in range(self._callers):
            caller = Caller(
                peer,
                f"{self._seed}/{number}",
                self._tokens,
                self._record,
                stdio=self._stdio,
                held=self._workers > 2,
            )
            threads.append(threading.Thread(target=self._call, args=(caller, end), daemon=True))
        for thread in threads:
            thread.start()
        if self._end != "idle":
            time.sleep(self._seconds * (0.3 + 0.6 * self._random.random()))
            before = len(self._record.sent)
            self._record.ending = True
            self._end_in_between(peer)
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()) + 3 * LATE_S)
            if thread.is_alive():
                self.faults.append("a caller hangs")
        if self.faults:
            return
        if self._end == "idle":
            self._settle(peer)
            self._look_at_account(peer)
            self._expect_one_answer_each(peer, self._record.sent)
            peer.close()
        elif self._end == "client gone" and not self._stdio:
            # another client finds a process that has got over it
            peer.connect()  # type: ignore[attr-defined]
            self._settle(peer)
            peer.close()
        elif self._end == "drain" and self._stdio:
            self._expect_one_answer_each(peer, self._record.sent[:before])
        status = peer.wait(_GRACE_S + _EXIT_S)
        if status != 0:
            self.faults.append(f"it ended with {status}")

    def _call(self, caller: Caller, end: float) -> None:
        try:
            caller.run(end)
        except Exception as error:
            if not self._record.ending:
                self.faults.append(f"the client failed: {error!r}")

    def _end_in_between(self, peer: PortPeer) -> None:
        if self._end == "terminate" or (self._end == "drain" and not self._stdio):
            peer.kill(signal.SIGTERM)
        elif self._end == "drain":
            peer.request("$/shutdown", [])
        elif self._stdio:
            peer.close()
        else:
            peer.disconnect()  # type: ignore[attr-defined]

    # -- what is to be seen -------------------------------------------------------------------

    def _settle(self, peer: PortPeer) -> None:
        """Nothing runs or waits any more."""
        end = time.monotonic() + LATE_S
        while True:
            health = peer.call("$/health")
            left = {
                name: health[name]
                for name in ("busy", "queued", "abandoned", "in_flight")
                if health.get(name)
            }
            if not left:
                return
            if time.monotonic() > end:
                self.faults.append(f"all is answered, and after {LATE_S} s there is {left}")
                return
            time.sleep(_LOOK_S)

    def _look_at_account(self, peer: PortPeer) -> None:
        account: dict[str, Any] = peer.call("account")
        ran = set(account["ran"])
        never = [token for token in self._record.done if token not in ran]
        begun, ended = account["loops"]
        for what, wrong in (
            ("ran twice", account["twice"]),
            ("has a result and never ran", never),
            ("loops have not ended", [begun - ended] * (begun != ended)),
            ("in tools", account["faults"]),
        ):
            if wrong:
                self.faults.append(f"{what}: {wrong[:10]}")

    def _expect_one_answer_each(self, peer: PortPeer, sent: list[int]) -> None:
        for msgid in sent:
            answers = len(peer.responses.get(msgid, ()))
            if answers != 1:
                self.faults.append(f"request {msgid} has {answers} answers")

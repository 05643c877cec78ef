"""The faults. Each does its harm to a program under load, and says what was wrong afterwards.

A fault returns the seconds until everything was right again, and a problem or "". After a fault
that ends a process: the seconds until nothing of it was left.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from . import processes
from .beam import Beam
from .tally import Tally

#: What leaving may take beyond the grace.
MARGIN_S = 1.0
#: Beyond this a process is taken for an orphan, and killed.
_PATIENCE_S = 10.0


class Harm:
    """Does faults to programs whose bridges have this grace, and counts."""

    def __init__(self, tally: Tally, grace_s: float) -> None:
        self.tally = tally
        self._limit_s = grace_s + MARGIN_S

    # -- to the whole program -------------------------------------------------------------------

    def kill_beam(self, beam: Beam) -> None:
        """kill -9 of the Erlang VM; the program is over."""
        leaders = {beam.aim(client) for client in beam.clients}
        self.count(beam)
        beam.kill()
        seconds, problem = self._gone(leaders)
        beam.close()
        self.tally.note("kill-beam", seconds, problem)

    def stop_beam(self, beam: Beam) -> None:
        """SIGSTOP of the Erlang VM: it reads nothing for a while; then SIGCONT."""
        client = beam.clients[0]
        bridge = beam.aim(client)
        before = _memory(bridge)
        os.kill(beam.process.pid, signal.SIGSTOP)
        try:
            time.sleep(1.0)
            grown = _memory(bridge) - before
        finally:
            os.kill(beam.process.pid, signal.SIGCONT)
        problem = self._settle(beam, client, bridge, anew=False)
        if grown > 300 << 20:
            problem = f"the bridge grew by {grown >> 20} MiB while nobody read"
        self.tally.note("stop-beam", self._settled_s, problem)

    # -- to one bridge ----------------------------------------------------------------------------

    def kill_bridge(self, beam: Beam, client: str) -> None:
        """kill -9 of Python."""
        self._end("kill-bridge", beam, client, lambda pid: os.kill(pid, signal.SIGKILL))

    def terminate_bridge(self, beam: Beam, client: str) -> None:
        """SIGTERM: it drains and leaves."""
        self._end("terminate-bridge", beam, client, lambda pid: os.kill(pid, signal.SIGTERM))

    def stop_bridge(self, beam: Beam, client: str) -> None:
        """SIGSTOP of Python for a while, then SIGCONT."""
        bridge = beam.aim(client)
        os.kill(bridge, signal.SIGSTOP)
        try:
            time.sleep(1.0)
        finally:
            processes.send(signal.SIGCONT, {bridge})
        problem = self._settle(beam, client, bridge, anew=False)
        self.tally.note("stop-bridge", self._settled_s, problem)

    def ends_the_process(self, tool: str) -> Callable[[Beam, str], None]:
        """A tool that ends the process it runs in."""

        def fault(beam: Beam, client: str) -> None:
            self._end(_name(tool), beam, client, lambda _: self._call(beam, client, tool))

        return fault

    def goes_on(
        self, tool: str, *arguments: int, code: str, once: bool = False
    ) -> Callable[[Beam, str], None]:
        """A tool that does harm which its process survives, and is answered with ``code``.

        ``once``: it can be done to a process only once. For the next time there is a new one.
        """
        had_it: dict[str, int] = {}

        def fault(beam: Beam, client: str) -> None:
            bridge = beam.aim(client)
            if once and had_it.get(client) == bridge:
                self.kill_bridge(beam, client)
                bridge = beam.aim(client)
            had_it[client] = bridge
            got = beam.ask("call", client, tool, *arguments)["code"]
            problem = self._settle(beam, client, bridge, anew=False)
            if got != code:
                problem = f"answered {got}, not {code}"
            self.tally.note(_name(tool), self._settled_s, problem)

        return fault

    # -- parts --------------------------------------------------------------------------------

    def count(self, beam: Beam) -> None:
        """Add up what a program that is about to end has called."""
        counts = {key: int(value) for key, value in beam.ask("counts").items()}
        self.tally.calls += counts["calls"]
        self.tally.answers += counts["answers"]
        if counts["wrong"]:
            self.tally.problems.append(f"{counts['wrong']} calls got a wrong answer")

    def _call(self, beam: Beam, client: str, tool: str) -> None:
        code = beam.ask("call", client, tool)["code"]
        if code != "unavailable":
            self.tally.problems.append(f"{tool}: answered {code}, not unavailable")

    def _end(self, name: str, beam: Beam, client: str, end: Callable[[int], None]) -> None:
        bridge = beam.aim(client)
        end(bridge)
        seconds, problem = self._gone({bridge})
        problem = self._settle(beam, client, bridge, anew=True) or problem
        self.tally.note(name, seconds, problem)

    def _gone(self, leaders: set[int]) -> tuple[float, str]:
        seconds, left = processes.wait_until_gone(leaders, _PATIENCE_S)
        processes.kill(left)
        self.tally.orphans += len(left)
        if left:
            return seconds, f"{len(left)} orphans"
        return seconds, f"left after {seconds:.2f} s" if seconds > self._limit_s else ""

    def _settle(self, beam: Beam, client: str, bridge: int, *, anew: bool) -> str:
        reply = beam.ask("settle", client)
        self._settled_s = int(reply["works_ms"]) / 1000
        beam.bridges[client] = int(reply["os_pid"])
        lost = int(reply["lost"])
        self.tally.unanswered += lost
        if lost:
            return f"{lost} calls were not answered"
        if anew != (beam.bridges[client] != bridge):
            return "the bridge was not started anew" if anew else "the bridge was started anew"
        return ""


def _name(tool: str) -> str:
    return tool.replace("_", "-")


def _memory(pid: int) -> int:
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

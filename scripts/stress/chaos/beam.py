"""A real Elixir program under load: ``load.exs``, its Python processes, and its replies."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from pathlib import Path
from queue import Empty, SimpleQueue

from . import processes

ROOT = Path(__file__).resolve().parents[3]
EBIN = ROOT / "elixir_fixture" / "_build" / "dev" / "lib" / "beam_bridge" / "ebin"
#: Longer than anything may take that the program does on request.
PATIENCE_S = 40.0


class BeamFailed(Exception):
    """The Elixir program does not answer, or says what was not expected."""


class Beam:
    """An Erlang VM with ``clients`` clients, each with a bridge and 35 callers.

    Returns when the calls run. ``grace_s``: that of the bridges. Not for several threads at once.
    Raises ``BeamFailed``.
    """

    def __init__(self, clients: int, grace_s: float) -> None:
        self._stderr = tempfile.TemporaryFile()
        program = Path(__file__).with_name("load.exs")
        tools = ROOT / "tests" / "integration"
        self.process = subprocess.Popen(
            ["elixir", "-pa", EBIN, program, str(clients), str(float(grace_s)), tools],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "ELIXIR_ERL_OPTIONS": "+S 2"},
            start_new_session=True,
        )
        self.clients = [f"python_{number}" for number in range(1, clients + 1)]
        #: The bridges of the clients as far as they are known, by name.
        self.bridges: dict[str, int] = {}
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            if self._next_line() != "ready":
                raise BeamFailed(self._stderr_text())
        except BaseException:
            self.close()
            raise

    def ask(self, *words: object) -> dict[str, str]:
        """Ask the program something; its reply, by key."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise BeamFailed(f"{words}: {error}\n{self._stderr_text()}") from error
        return dict(pair.split("=", 1) for pair in self._next_line().split())

    def aim(self, client: str) -> int:
        """Have a tool start a child, note what is in flight; the process id of the bridge."""
        bridge = self.bridges[client] = int(self.ask("aim", client)["os_pid"])
        return bridge

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def close(self) -> set[int]:
        """End the program and whatever it has started; who was left and had to be killed."""
        servants = processes.children(self.process.pid)  # erl_child_setup, whose children they are
        leaders = {pid for servant in servants for pid in processes.children(servant)}
        leaders |= set(self.bridges.values())
        self.kill()
        _, left = processes.wait_until_gone(leaders, PATIENCE_S / 4)
        processes.kill(left)
        for stream in (self.process.stdin, self.process.stdout, self._stderr):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass  # what was not written when it died
        return left

    def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                self._lines.put(line.strip())
        except ValueError:
            pass  # closed
        self._lines.put("")

    def _next_line(self) -> str:
        try:
            line = self._lines.get(timeout=PATIENCE_S)
        except Empty:
            line = ""
        if not line:
            raise BeamFailed(f"the Elixir program does not answer\n{self._stderr_text()}")
        return line

    def _stderr_text(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")[-2000:]

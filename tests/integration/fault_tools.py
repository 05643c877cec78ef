"""Tools that do what no tool should. Each is named after what it does to the process."""

from __future__ import annotations

import ctypes
import locale
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bridge import Context, ThreadSafeAdapter, tool


class Faults(ThreadSafeAdapter):
    """Faults, and ``echo`` and ``sleep`` to see what becomes of other calls."""

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def sleep(self, seconds: float) -> float:
        """Block a worker, as a C library does."""
        time.sleep(seconds)
        return seconds

    @tool
    def waits(self, seconds: float, ctx: Context) -> bool:
        """Wait, but no longer than anybody wants to know."""
        return ctx.wait(seconds)

    @tool
    def blobs(self, size: int) -> Any:
        """Stream blocks of bytes without end."""
        while True:
            yield bytes(size)

    @tool
    def nests(self, depth: int, ctx: Context) -> int:
        """How deep it goes: each level asks the program, which calls the next."""
        return 0 if depth == 0 else 1 + ctx.call_elixir("descend", depth - 1)

    @tool
    def writes_file(self, path: str) -> str:
        Path(path).write_text("written")
        return path

    # -- ends the process ---------------------------------------------------------------------

    @tool
    def exits_hard(self, status: int = 3) -> None:
        os._exit(status)

    @tool
    def segfaults(self) -> None:
        ctypes.string_at(0)

    @tool
    def aborts(self) -> None:
        os.abort()

    # -- would end another program ------------------------------------------------------------

    @tool
    def raises_system_exit(self) -> None:
        sys.exit("enough")

    @tool
    def raises_keyboard_interrupt(self) -> None:
        raise KeyboardInterrupt

    @tool
    async def raises_system_exit_in_the_event_loop(self) -> None:
        sys.exit("enough")

    @tool
    def yields_and_raises_system_exit(self) -> Any:
        yield 1
        sys.exit("enough")

    # -- descriptors --------------------------------------------------------------------------

    @tool
    def closes_fd_1(self) -> None:
        os.close(1)

    @tool
    def closes_fd_0_and_2(self) -> None:
        os.close(0)
        os.close(2)

    @tool
    def closes_all_descriptors(self) -> None:
        """As a daemon does that wants to have nothing to do with its parent."""
        os.closerange(3, 4096)

    @tool
    def prints(self, text: str) -> None:
        print(text)

    @tool
    def prints_without_end(self) -> None:
        while True:
            print("x" * 10_000)

    # -- processes ----------------------------------------------------------------------------

    @tool
    def forks_and_both_return(self, value: Any) -> Any:
        """Parent and child come back into the bridge's code."""
        os.fork()
        return value

    @tool
    def forks_when_told(self, fork: bool, after: float = 0.0) -> bool:
        """Quick until then: it runs on the thread that reads. ``after``: seconds."""
        if fork:
            time.sleep(after)
            os.fork()
        return fork

    @tool
    def forks_and_both_stream(self, n: int) -> Any:
        yield 0
        os.fork()
        yield from range(1, n)

    @tool
    def forks_and_the_child_raises(self) -> str:
        if os.fork() == 0:
            raise RuntimeError("in the child")
        return "parent"

    @tool
    def forks_a_child_that_stays(self) -> int:
        """A forked child that neither leaves nor returns; its process id."""
        pid = os.fork()
        if pid == 0:
            while True:
                time.sleep(60)
        return pid

    @tool
    def maps_with_forked_processes(self, numbers: list[int]) -> list[int]:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, numbers)

    @tool
    def leaves_a_forked_process(self) -> int:
        """A process of ``multiprocessing`` that nobody waits for; its process id."""
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        process.start()
        assert process.pid is not None
        return process.pid

    @tool
    def leaves_a_child(self) -> int:
        """A child that holds whatever it could inherit; its process id."""
        return subprocess.Popen(["sleep", "600"], close_fds=False).pid

    @tool
    def waits_for_any_child(self) -> None:
        os.wait()

    @tool
    def leaves_a_child_deaf_to_sigterm(self) -> int:
        """A child that SIGTERM does not end; its process id."""
        script = "trap '' TERM; echo deaf; while :; do sleep 1; done"
        child = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        return child.pid

    # -- threads ------------------------------------------------------------------------------

    @tool
    def starts_threads_that_never_end(self, daemon: bool) -> int:
        """Threads that outlive the call; how many there are now."""
        for _ in range(4):
            threading.Thread(target=threading.Event().wait, daemon=daemon).start()
        return threading.active_count()

    @tool
    def starts_threads_that_print(self) -> None:
        """Daemon threads that write to stderr until the very end."""

        def chatter() -> None:
            while True:
                print("chatter", file=sys.stderr)

        for _ in range(4):
            threading.Thread(target=chatter, daemon=True).start()

    @tool
    def starts_a_thread_that_raises(self) -> None:
        def fail() -> None:
            raise RuntimeError("on a thread of its own")

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

    # -- memory -------------------------------------------------------------------------------

    @tool
    def limits_memory(self, more: int) -> None:
        """Let the process have so many bytes of address space more than it has now."""
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))

    @tool
    def allocates_until_memory_error(self, piece: int) -> None:
        """Take memory in pieces of so many bytes, and hold all of it when it has run out."""
        held = []
        while True:
            held.append(bytearray(piece))

    @tool
    def returns_what_does_not_fit(self, size: int) -> list[str]:
        return ["ü" * size]  # whose encoding takes twice as much

    @tool
    def recurses_without_end(self) -> Any:
        return self.recurses_without_end()

    @tool
    def raises_what_cannot_be_printed(self) -> None:
        class Unprintable(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

            __repr__ = __str__

        raise Unprintable

    @tool
    def returns_what_exits_when_it_is_shown(self) -> Any:
        class Leaving:
            def __repr__(self) -> str:
                raise SystemExit(3)

            model_dump = __repr__

        return {"a": [Leaving()], Leaving(): 1}

    @tool
    def has_no_more_threads(self) -> None:
        """As under a limit of pids: no stack of this size can be had."""
        threading.stack_size(1 << 46)

    # -- what the whole process shares ----------------------------------------------------------

    @tool
    def changes_what_all_share(self, directory: str) -> list[Any]:
        """Directory, locale, umask, recursion limit, standard streams; what it is afterwards."""
        os.chdir(directory)
        for name in ("de_DE.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_ALL, name)
                break
            except locale.Error:
                continue
        os.umask(0o777)
        sys.stdout = sys.stderr = None  # type: ignore[assignment]
        os.environ.clear()
        return [os.getcwd(), locale.setlocale(locale.LC_ALL)]

    @tool
    def installs_a_signal_handler(self) -> str:
        """Python allows that on its main thread only, which is not a tool's."""
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        except ValueError as error:
            return str(error)
        return "installed"

    @tool
    def holds_the_gil(self, seconds: int) -> None:
        """What C code does that does not let others run."""
        ctypes.PyDLL(None).sleep(seconds)

    @tool
    def holds_the_gil_for_good(self, path: str) -> None:
        """The same, and a child process; there is a file as soon as nobody else can run."""
        ctypes.PyDLL(None).system(f"touch '{path}'; sleep 600".encode())


class ExitsWhileItLoads(Faults):
    def setup(self) -> None:
        sys.exit("no model, no service")


class StartsAChildAndFails(Faults):
    def setup(self) -> None:
        subprocess.Popen(["sleep", "600"])
        raise OSError("no model, no service")


class HasNoMemoryForModules(Faults):
    """Whatever the package loads once it serves finds no memory, until a tool ends that."""

    def setup(self) -> None:
        self.asked: list[str] = []
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "bridge.wire.tables":  # which no start needs
            self.asked.append(name)
            raise MemoryError

    @tool
    def asked_for(self) -> list[str]:
        return list(self.asked)

    @tool
    def finds_memory(self) -> None:
        sys.meta_path.remove(self)  # type: ignore[arg-type]

    @tool
    def is_loaded(self, name: str) -> bool:
        return name in sys.modules


class ClosesBadly(Faults):
    def close(self) -> None:
        sys.exit("close() has had enough")


class NeverCloses(Faults):
    def close(self) -> None:
        threading.Event().wait()


class ForksWhileItLoads(Faults):
    def setup(self) -> None:
        self._child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        self._child.start()

    @tool
    def child(self) -> int:
        """The process that stays; its id."""
        assert self._child.pid is not None
        return self._child.pid

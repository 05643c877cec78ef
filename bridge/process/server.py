"""The life of the process: build it, say that it is ready, wait for a reason to end, drain, leave."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading

from ..calls import Dispatcher, Interrupter, load_rest
from ..errors import AdapterError, BridgeError, CallError, EncodeError, UsageError, shorten
from ..gil import GilWatch, describe_python
from ..loading import build, check_workers, trace_of
from ..log import forgive_lost_output
from ..threads import start_thread
from ..transports.stdio import StdioTransport
from .adapter_life import build_adapter, close, find, make_pool, max_async, set_up
from .announcement import announce, announce_metrics, describe, reports
from .engine import engage
from .fork import Forks
from .group import ProcessGroup
from .main_queue import MainQueue
from .network import load_tracing, open_grpc, open_metrics
from .process_log import ProcessLog, warn_of_gil
from .race_check import begin_check, write_report
from .shutdown import (
    CLEAN,
    FATAL,
    USAGE,
    complain,
    flush_files,
    interrupt_after,
    leave,
    leave_fork,
    leave_on_interrupt,
    run_exit_handlers,
)
from .signal_watch import heed_signals
from .standard_descriptors import take_standard_descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType
    from typing import NoReturn

    from ..calls import Pool
    from ..loading import LoadedAdapter
    from ..running_call import Elixir
    from ..thread_safety import ThreadSafetyChecker
    from ..tool import Tool
    from ..transports.grpc.server import GrpcServer
    from ..transports.grpc.service import ServiceFactory
    from ..transports.stdio import StdioReader
    from .settings import Settings
    from .watcher import Watcher

#: How long a thread may keep the GIL, in seconds: while one computes, the others wait, and a quick call
#: twice. 16 calls that compute in Python at once take 244 ms, with the usual 5 ms 192, with 0.5 ms 210.
SWITCH_INTERVAL_S = 0.0001
#: What the end may take beyond the grace.
_MARGIN_S = 0.4
#: Reasons to end after which nobody reads what we write.
_GONE = ("peer gone", "parent gone")


def bridge_services() -> Sequence[ServiceFactory]:
    """What makes the services of the gRPC server. Raises ``ImportError``: a package is missing."""
    from ..transports.grpc.bridge_service import BridgeService

    return [BridgeService]


def no_elixir(tools: Mapping[str, Tool]) -> Elixir | None:
    """The way back to the program that calls: there is none."""
    return None


class Server:
    """One process, from its start to its exit code. ``run`` belongs to the main thread.

    Args:
        settings: what the command line says.
        build: makes the adapter to serve of its name and the class or module that was found.
        services: makes what clients of the gRPC server can call; called only if there is one.
        elixir: makes the way back to the caller from the tools, once the adapter is set up.
        switches_often: whether answers are to come within microseconds although other tools
            compute. Over stdio they are in any case; over gRPC that costs a tenth of the calls.
        watcher: ends the process when it cannot do so itself; default: nobody does.
        spare_workers: how many threads may run what nobody awaits, while others have their places.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        build: Callable[[str, object], LoadedAdapter] = build,
        services: Callable[[], Sequence[ServiceFactory]] = bridge_services,
        elixir: Callable[[Mapping[str, Tool]], Elixir | None] = no_elixir,
        switches_often: bool = False,
        watcher: Watcher | None = None,
        spare_workers: int = 0,
    ) -> None:
        self._settings = settings
        self._build = build
        self._services = services
        self._elixir = elixir
        self._switches_often = switches_often or settings.descriptors is not None
        self._spare = spare_workers
        self.queue = MainQueue(lambda: self._leave_after(settings.grace_s + _MARGIN_S))
        self._parent = os.getppid()
        self._watcher = watcher
        self._group = ProcessGroup() if watcher is None else watcher.group

    def end(self, reason: str) -> None:
        """Have the process drain and end. Any thread, signal handlers too."""
        self.queue.end(reason)

    def run(self) -> int:
        """Serve until there is a reason to end, and end the process.

        Returns:
            The exit code, if the process never came to serve; else it does not return.
        """
        settings = self._settings
        try:
            stdio = self._take_process()
        except OSError as error:
            complain("--fds {},{}: {}".format(*settings.fds, error.strerror))
            return USAGE
        forks = Forks()
        if self._watcher is not None:
            forks.add(self._watcher.forked)
        if stdio is not None:
            forks.add(stdio.forked)
        log = ProcessLog(settings, stdio)
        forks.add(log.forked)
        try:
            with GilWatch() as gil:
                network = open_grpc(settings, self._services)
                metrics = open_metrics(settings)
                tracing = load_tracing(settings)
                checker = begin_check(settings)
                target = find(settings)
                output = None if stdio is None else stdio.output
                pool = make_pool(settings.max_workers, settings.max_queue, output, self._spare)
                adapter = build_adapter(pool, self._build, settings.adapter, target)
                adapter = engage(adapter, settings)
            tools = self._set_up(adapter, pool, checker, tracing)
            dispatcher = Dispatcher(
                tools,
                pool,
                elixir=self._elixir(tools),
                python=describe_python(gil),
                reports=reports(adapter, checker, stdio),
                stuck_after_s=settings.stuck_after_s,
                # what looks for races has locks of its own in the code of the tools
                interrupter=Interrupter(settings.interrupt_abandoned_s, allowed=checker is None),
                max_async=max_async(adapter, settings.max_async),
            )
            forks.add(lambda: dispatcher.forked(leave_fork))
            # over pipes alone nothing keeps the main thread busy, and it looks every half second
            forks.add(heed_signals(self.queue, watched=settings.descriptors is None))
            grpc = None if network is None else network.serve(dispatcher)
            if grpc is not None:
                announce(settings, grpc.address)
            if metrics is not None:
                forks.add(metrics.forked)
                metrics.serve(dispatcher.stats)
                announce_metrics(settings, metrics.port)
        except (AdapterError, UsageError) as error:
            return self._refuse(error, stdio, log)
        except BaseException as error:  # code of an adapter, which may be anywhere in it
            text = f"{settings.adapter} cannot be served\n{trace_of(error)}"
            return self._refuse(AdapterError(text), stdio, log)
        if stdio is not None:
            # the first message, before a request that came early can be answered
            address = None if grpc is None else grpc.address
            stdio.use_encoders(adapter.encoders)
            try:
                stdio.peer.ready(describe(settings, dispatcher, address, metrics))
            except EncodeError as error:
                return self._refuse(error, stdio, log)
        log.open()
        if gil.modules:
            warn_of_gil(gil.modules)
        reader = None
        if stdio is not None:
            try:
                # one worker means that the tools must not run at the same time
                inline = settings.inline and settings.max_workers > 1
                reader = stdio.serve(dispatcher, inline=inline)
            except BridgeError as error:
                return self._refuse(error, stdio, log)
            forks.add(reader.forked)
        reason = self._wait(dispatcher, stdio, grpc)
        return self._end(reason, dispatcher, stdio, reader, grpc, adapter, checker)

    # -- the start ----------------------------------------------------------------------------

    def _take_process(self) -> StdioTransport | None:
        """Make the process what the bridge needs, before any code of an adapter runs in it.

        Raises ``OSError`` if a descriptor of the protocol is not open.
        """
        settings = self._settings
        take_standard_descriptors(settings.descriptors or ())
        try:
            faulthandler.enable(2)  # says on stderr which line of which tool has crashed it
        except OSError:
            pass  # there is no stderr
        if self._switches_often:
            sys.setswitchinterval(SWITCH_INTERVAL_S)
        if settings.descriptors is None:
            self._watch_starter()
            stdio = None
        else:
            stdio = StdioTransport(
                *settings.descriptors,
                settings.max_message_bytes,
                self.end,
                max_message_items=settings.max_message_items,
                max_answer_bytes=settings.max_answer_bytes,
                memory=settings.memory,
            )
        forgive_lost_output()
        return stdio

    def _set_up(
        self,
        adapter: LoadedAdapter,
        pool: Pool,
        checker: ThreadSafetyChecker | None,
        tracing: ModuleType | None,
    ) -> Mapping[str, Tool]:
        """Set the adapter up. Returns the tools to serve. Raises ``AdapterError``."""
        check_workers(adapter, pool.max_workers)
        tools = adapter.tools if checker is None else checker.watch_adapter(adapter)
        if tracing is not None:
            tools = tracing.trace_tools(tools)
        set_up(pool, adapter)
        if tracing is not None:
            tracing.provide()
        return tools

    def _refuse(self, error: BridgeError, stdio: StdioTransport | None, log: ProcessLog) -> int:
        """Say why there is nothing to serve, to people and to the peer."""
        log.give_up()
        text = str(error).encode("utf-8", "backslashreplace").decode()  # names need be no text
        complain(text)
        if stdio is not None:
            stdio.peer.refuse(CallError(text, code="failed_precondition"))
        return FATAL

    def _wait(
        self, dispatcher: Dispatcher, stdio: StdioTransport | None, grpc: GrpcServer | None
    ) -> str:
        from .memory import MemoryWatch

        memory, complete, look_again_s = MemoryWatch(), False, 0.5
        while True:
            reason = self.queue.take(look_again_s)
            if reason is not None and (stdio is None or not stdio.hands_over(reason)):
                return reason
            try:
                dispatcher.catch_up()
                if stdio is not None:
                    stdio.let_go()
                status = dispatcher.stuck.look()
                if grpc is not None:
                    grpc.set_health(status == "serving")
                look_again_s = memory.look()  # within half a second
                if not complete and reason is None:
                    load_rest()  # while there are descriptors, and the files are of this version
                    complete = True
            except (MemoryError, OSError, ImportError, RuntimeError):
                pass  # no memory, descriptor, file or thread just now: at the next look, and calls go on
            # somebody else may hold the pipe open that would have told us
            if self._settings.descriptors is not None and os.getppid() != self._parent:
                return "parent gone"

    def _end(
        self,
        reason: str,
        dispatcher: Dispatcher,
        stdio: StdioTransport | None,
        reader: StdioReader | None,
        grpc: GrpcServer | None,
        adapter: LoadedAdapter,
        checker: ThreadSafetyChecker | None,
    ) -> NoReturn:
        grace = self._settings.grace_s
        # whatever hangs from here on, a tool, close() or a peer that does not read: leave
        self._leave_after(grace + _MARGIN_S)
        if grpc is not None:
            grpc.drain()
        if stdio is not None:
            stdio.drain()
        if reason in _GONE:
            dispatcher.refuse_new()
            if grpc is not None:
                grpc.stop()  # before there are workers for what waits, and before the calls are ended
            dispatcher.cancel_all("the caller is gone")
            idle = dispatcher.wait_until_idle(grace)
        else:
            leave_on_interrupt()
            dispatcher.drain(grace, reader)
            idle = dispatcher.wait_until_idle(_MARGIN_S / 4)
        if grpc is not None:
            grpc.close(idle)
        write_report(self._settings, checker)
        try:
            close(dispatcher.pool, adapter, idle, None if reader is None else reader.end)
        except BaseException as error:
            complain(f"close() of {adapter.name} failed: {shorten(error, 1000)}")
        if stdio is not None and reason not in _GONE:
            stdio.peer.bye(reason)
        self._group.end()
        if idle:
            run_exit_handlers()
        flush_files()
        if self._watcher is not None:
            self._watcher.dismiss()
        leave(CLEAN)

    def _leave_after(self, seconds: float) -> None:
        def hurry() -> None:
            try:
                self._group.end()
            finally:
                leave(CLEAN)

        timer = threading.Timer(seconds, hurry)
        timer.daemon = True
        if not start_thread(timer):
            interrupt_after(seconds, hurry)

    def _watch_starter(self) -> None:
        """Leave when stdin ends, which is not for calls here, if a program has its other end."""
        from . import stdin_watch

        def gone() -> None:
            complain(
                "stdin has ended: whoever started this process is gone, and it leaves as well "
                "(with stdin from /dev/null it would stay)"
            )
            self.end("peer gone")

        if stdin_watch.is_there():
            stdin_watch.watch_stdin(gone)

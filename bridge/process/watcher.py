"""A small process beside this one, which ends it when it cannot do that by itself.

The reader's thread hears that the peer is gone, but can do nothing about it as long as a tool holds
the GIL: in C code that computes, or in a deadlock with it. The watcher has an interpreter of its own.
It is forked before there are threads, reads nothing and waits for one of two things:

- The peer has closed its end of the pipe, or who started the process is gone. The process may take
  its grace to end; then it is killed, and with it what its tools have started.
- The process has ended, however it did: by a crash, by ``os._exit`` in a tool. What its tools have
  started is ended, if the process had no time to do so. Then the watcher holds the peer's pipe open
  for a moment: a port of the BEAM that writes to a closed one never tells its exit status.

Nothing that tools do can wait for it, ``os.wait()`` for example: it is nobody's child.
"""

from __future__ import annotations

import os
import select

from .group import ProcessGroup, parent_of
from .standard_descriptors import take_standard_descriptors
from .stdin_watch import is_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn

    from .settings import Settings
else:
    # as in group.py
    import _signal as signal

#: What the end may take beyond the grace, with room for a machine that is busy.
_PATIENCE_S = 1.5
#: How often it looks who the parent is, in seconds.
_LOOK_S = 5.0
_MAX_MS = 2**31 - 1
#: How long the peer may take to close its pipe, once it hears that the process has ended.
_HOLD_S = 5.0
#: Descriptors below this number are closed in the watcher.
_MAX_DESCRIPTORS = 1 << 14
_SOURCE, _LIFE = 0, 1
#: The peer's end of a socket is closed; a pipe tells by POLLHUP, which is always told.
_CLOSED = getattr(select, "POLLRDHUP", 0)


def start_watcher(settings: Settings) -> Watcher | None:
    """The watcher of a process that is to serve; None if it has nothing to hear of its starter by.

    On the main thread, before there are others and before much is imported.
    """
    source = settings.descriptors
    try:
        take_standard_descriptors(source or ())
    except OSError:
        return None  # there is nothing to serve, and the server says so
    if source is not None:
        return Watcher(source[0], settings.grace_s, ProcessGroup())
    if is_there():
        return Watcher(0, settings.grace_s, ProcessGroup(), watch_parent=False)
    return None


class Watcher:
    """Starts the watcher, on the main thread, before there are others.

    Where no further process may be started there is none, and nothing else changes.

    Args:
        source: the descriptor whose end says that the peer is gone.
        grace_s: how long the process may take to end then.
        group: what to end with it. The watcher is spared from now on.
        watch_parent: whether the process is to end when another one has become its parent, too.
    """

    def __init__(
        self, source: int, grace_s: float, group: ProcessGroup, *, watch_parent: bool = True
    ) -> None:
        self.group = group
        self._life = -1
        #: Who forks the watcher, and where it says which process that is; None: it has.
        self._forked: tuple[int, int] | None = None
        main, parent = os.getpid(), os.getppid() if watch_parent else None
        reader, life = os.pipe()
        answer, tell = os.pipe()
        try:
            child = os.fork()
        except OSError:
            for descriptor in (reader, life, answer, tell):
                os.close(descriptor)
            return
        if child == 0:
            try:
                # the one that forks here ends, so that the watcher is no child of the process
                watcher = os.fork()
                if watcher == 0:
                    _become_watcher(source, reader)
                    _Watch(main, parent, grace_s, group).run()
                os.write(tell, b"%d" % watcher)
            finally:
                os._exit(0)
        os.close(reader)
        os.close(tell)
        self._life, self._forked = life, (child, answer)

    def settle(self) -> None:
        """Wait until it is there. On the main thread, before others may wait for child processes."""
        if self._forked is None:
            return
        (child, answer), self._forked = self._forked, None
        os.waitpid(child, 0)
        pid = os.read(answer, 32)
        os.close(answer)
        if pid:
            self.group.spared.add(int(pid))
        else:
            self.forked()

    def dismiss(self) -> None:
        """Have it leave: there is nothing more to watch. The process ends in order."""
        if self._life >= 0:
            try:
                os.write(self._life, b".")
            except OSError:
                pass  # somebody has ended it

    def forked(self) -> None:
        """In a process that a tool has forked: its life is not what is watched."""
        if self._life >= 0:
            os.close(self._life)
            self._life = -1


def _become_watcher(source: int, life: int) -> None:
    """Keep nothing but what is watched, and let no signal to the group end this."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    spare = os.dup(life)
    os.dup2(source, _SOURCE)
    os.dup2(spare, _LIFE)
    os.closerange(2, _MAX_DESCRIPTORS)
    try:
        with open("/proc/self/comm", "w") as file:
            file.write("bridge-watcher")
    except OSError:
        pass  # not Linux


class _Watch:
    """What the watcher does, in its own process.

    Args:
        main: the process that is watched.
        parent: who started it; None: that does not matter.
        grace_s: how long it may take to end when that is gone, or its peer.
        group: what tools start.
    """

    def __init__(self, main: int, parent: int | None, grace_s: float, group: ProcessGroup) -> None:
        self._main = main
        self._parent = parent
        self._grace_s = grace_s
        self._group = group
        group.spared.add(os.getpid())

    def run(self) -> NoReturn:
        poll = select.poll()
        poll.register(_LIFE, select.POLLIN)
        poll.register(_SOURCE, _CLOSED)
        while True:
            events = dict(poll.poll(_LOOK_S * 1000))
            if _LIFE in events:
                self._leave()
            if _SOURCE in events or self._has_lost_parent():
                break
        poll.unregister(_SOURCE)
        poll.poll(min((self._grace_s + _PATIENCE_S) * 1000, _MAX_MS))
        self._leave()

    def _has_lost_parent(self) -> bool:
        return self._parent is not None and parent_of(self._main) not in (0, self._parent)

    def _leave(self) -> NoReturn:
        if not select.select([_LIFE], [], [], 0)[0]:
            os.kill(self._main, signal.SIGKILL)  # it has not ended
            self._group.end()
        elif not os.read(_LIFE, 1):
            self._group.end()  # it has ended, and has not said that all is in order
            self._hold()
        os._exit(0)

    def _hold(self) -> None:
        """Keep the pipe open until the peer has closed its end."""
        poll = select.poll()
        poll.register(_SOURCE, _CLOSED)
        poll.poll(_HOLD_S * 1000)

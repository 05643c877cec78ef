"""Has calls run on workers of a pool, at once or one after another, and never all on one worker.

A worker that is free takes whatever comes: of quick calls one worker would run all, and a race
needs two. So the calls of a *wave*, which are to run at once, meet at a gate before their tools
begin; and where a wave has fewer calls than there are workers, the others are *held*.

One wave follows the other without the thread that asked for it, which would have to be woken each
time: whoever brings the last answer of a wave begins the next one, as a client does that waits for
an answer before it asks again.

The locks here are those of ``_thread``, which the detector does not know: what waits here is not
put in order by it. (``threading.Barrier`` makes an order: what comes before it is over.)
"""

from __future__ import annotations

import _thread
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from ..calls import Dispatcher, Interrupter, Job, Peer, Pool, ToolThreads, Worker
from ..tool import Tool
from ..wire import CallOptions, Request

#: How long a round may take in which nothing is answered; and one in which no tool even begins.
PATIENCE_S, _BEGIN_S = 30.0, 5.0
#: How long no call of a wave is answered before it is asked whether they wait for others.
_TOGETHER_S = 0.3
#: Fewer answers than that in the meantime are few. And how often Python switches by itself.
_SLOW, _USUAL_INTERVAL_S = 5, 0.005


class Attempt:
    """One call that is to be made.

    Args:
        tool: the name of the tool.
        params: its arguments, by position or by name.
        peer: makes the peer that gets the answer; is given what that peer has to call once the
            answer is there, on whatever thread.
    """

    def __init__(
        self,
        tool: str,
        params: list[Any] | dict[str, Any],
        peer: Callable[[Callable[[], None]], Peer],
    ) -> None:
        self.tool = tool
        self.params = params
        self.peer = peer


class Placement:
    """Serves tools on workers of its own, and chooses which of them run its calls.

    Guarantees, as long as it chooses: the calls of a wave begin at once, each on another worker;
    and not on those that ran the wave before, unless there are not enough others.

    Args:
        tools: what is served, by name.
        workers: how many threads.
        waves: the calls that are to run at once, wave after wave; none with more calls than there
            are workers, or with two of the same serial tool.
        threads: what the workers have in common; default: nothing.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        workers: int,
        waves: Sequence[Sequence[Attempt]],
        threads: ToolThreads | None = None,
    ) -> None:
        total = sum(map(len, waves))
        self._workers = workers
        self._gate = _Gate()
        self._pool = Pool(workers, workers + total, threads=threads)
        self._dispatcher = Dispatcher(
            {name: tool.calling(self._gate.before(tool.function)) for name, tool in tools.items()},
            self._pool,
            # the locks of what looks for races are taken within the tools
            interrupter=Interrupter(allowed=False),
        )
        self._streaming = {name for name, tool in tools.items() if tool.streaming}
        self._keys = count()
        self._waves = deque(map(_Wave, waves))
        #: The wave that begins when all workers are held.
        self._upcoming: deque[_Wave] = deque()
        self._current: _Wave | None = None
        self._chooses = True
        #: Of the workers that run nothing; the next to be let go comes first.
        self._holds: deque[_Hold] = deque()
        self._held = _Countdown(0)
        self._answers = _Countdown(total)

    def run(self, until: float | None = None, hanging: Callable[[], object] | None = None) -> bool:
        """Make all calls, and wait until they are answered and the workers have ended.

        But not for ever. Where calls wait for others that are not of their wave, it chooses no more,
        and lets everything run that can.

        Args:
            until: the time of ``time.monotonic()`` at which it ends in any case; None: no such time.
            hanging: called if calls do not end, before they are left alone; default: nothing.

        Returns:
            Whether it chose to the end.
        """
        self._advance()
        all_answered = self._wait_for_answers(until)
        if hanging is not None and not all_answered:
            hanging()
        self._dispatcher.cancel_all("the check goes on without this call")
        self._let_go(self._workers)
        self._pool.close()
        # what comes is later than the calls: the end of a thread that is joined tells the detector
        end = time.monotonic() + (PATIENCE_S if all_answered else _TOGETHER_S)
        end = end if until is None else min(end, max(until, time.monotonic() + _TOGETHER_S))
        for worker in self._pool.workers:
            if worker.thread is not None:
                worker.thread.join(max(0.0, end - time.monotonic()))
        return self._chooses

    # -- from wave to wave, on whatever thread -----------------------------------------------

    def _advance(self) -> None:
        """The calls of the wave before are answered: begin the next, and so on."""
        while True:
            try:
                wave = self._waves.popleft()
            except IndexError:
                return
            missing = self._workers - len(self._holds)
            if self._chooses and len(wave.attempts) < self._workers and missing:
                self._upcoming.append(wave)
                self._held = _Countdown(missing)
                for _ in range(missing):
                    hold = _Hold(self._one_held)
                    self._holds.append(hold)
                    self._pool.submit(hold)
                if not self._chooses:  # since just now: what stopped it may have seen no wave here
                    self._let_go(self._workers)
                    self._begin_upcoming()
                return
            if not self._begin(wave):
                return

    def _one_held(self) -> None:
        """A worker is held: if it was the last, the wave begins that waits for that."""
        if self._held.one_less():
            self._begin_upcoming()

    def _begin_upcoming(self) -> None:
        try:
            wave = self._upcoming.popleft()
        except IndexError:
            return  # somebody else began it
        if self._begin(wave):
            self._advance()

    def _begin(self, wave: _Wave) -> bool:
        """Make the calls of a wave. Returns whether all are answered already."""
        self._current = wave
        self._gate.expect(len(wave.attempts))
        for attempt in wave.attempts:
            options = None
            if attempt.tool in self._streaming:
                options = CallOptions(credit=(sys.maxsize, sys.maxsize))
            request = Request(next(self._keys), attempt.tool, attempt.params, options)
            peer = attempt.peer(lambda: self._one_answered(wave))
            self._dispatcher.dispatch(request, peer)
        if wave.unanswered < len(wave.attempts):
            self._gate.expect(wave.unanswered)  # the others were refused
        self._let_go(len(wave.attempts))
        return wave.open.one_less()

    def _one_answered(self, wave: _Wave) -> None:
        if wave.open.one_less():
            self._advance()
        self._answers.one_less()

    def _let_go(self, workers: int) -> None:
        for _ in range(workers):
            try:
                self._holds.popleft().let_go()
            except IndexError:
                return

    # -- on the thread that asked for it ------------------------------------------------------

    def _wait_for_answers(self, until: float | None) -> bool:
        """Wait until all calls are answered, but not for ever. Returns whether they are."""
        seen: object = None
        end = 0.0
        left = self._answers.left
        while not self._answers.wait(_TOGETHER_S):
            if left - self._answers.left < _SLOW:
                _switch_less_often()
            left = self._answers.left
            now, progress = time.monotonic(), (left, self._gate.seen)
            if until is not None and now > until:
                return False
            if progress != seen:
                seen = progress
                end = now + (PATIENCE_S if self._gate.seen else _BEGIN_S)
                continue
            wave = self._current
            # with every worker busy nobody else could do anything
            waits = wave is None or wave.open.left < self._workers
            if self._chooses and (waits or now > end):
                self._stop_choosing()
            if now > end:
                return False
        return True

    def _stop_choosing(self) -> None:
        self._chooses = False
        self._gate.open()
        self._let_go(self._workers)
        self._begin_upcoming()
        while self._waves:
            self._advance()


class _Wave:
    """Calls that are to run at once. ``open``: how many are not answered, and one until all are made."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self.attempts = attempts
        self.open = _Countdown(len(attempts) + 1)

    @property
    def unanswered(self) -> int:
        """How many are not answered; while they are being made."""
        return self.open.left - 1


class _Hold(Job):
    """Keeps a worker from other jobs. ``held`` is called on the worker, once it is held."""

    serial = None

    def __init__(self, held: Callable[[], None]) -> None:
        self._held = held
        self._over = _taken_lock()

    def run(self, worker: Worker, now: float) -> float:
        self._held()
        self._over.acquire()
        return time.monotonic()

    def let_go(self) -> None:
        """Let the worker go on to other jobs."""
        self._over.release()


class _Gate:
    """Where calls wait for each other before their tools begin.

    All come, because each has a worker; but where one waits for another call, it must be opened.
    """

    def __init__(self) -> None:
        #: Whether any call has come.
        self.seen = False
        self._parties = 1
        self._lock = _thread.allocate_lock()
        self._waiting: list[_thread.LockType] = []
        self._open = False

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, behind the gate."""

        def gated(*args: Any, **kwargs: Any) -> Any:
            self._meet()
            return function(*args, **kwargs)

        return gated

    def expect(self, parties: int) -> None:
        """So many are to meet."""
        with self._lock:
            self._parties = parties
            self._let_through()

    def open(self) -> None:
        """Let everybody through, from now on."""
        with self._lock:
            self._open = True
            self._let_through()

    def _meet(self) -> None:
        self.seen = True
        if self._open or self._parties <= 1:
            return
        own = _taken_lock()
        with self._lock:
            self._waiting.append(own)
            self._let_through()
        own.acquire()

    def _let_through(self) -> None:
        if self._open or len(self._waiting) >= self._parties:
            for waiting in self._waiting:
                waiting.release()
            self._waiting = []


class _Countdown:
    """Counts down to nothing, and lets one thread wait for that. Any thread may count."""

    def __init__(self, left: int) -> None:
        self.left = left
        self._lock = _thread.allocate_lock()
        self._nothing = _taken_lock()

    def one_less(self) -> bool:
        """Count. Returns whether nothing is left."""
        with self._lock:
            self.left -= 1
            if self.left == 0:
                self._nothing.release()
            return self.left == 0

    def wait(self, seconds: float) -> bool:
        """Wait at most so long until nothing is left. Returns whether it is so."""
        return self.left == 0 or (self._nothing.acquire(timeout=seconds) and True)


def _switch_less_often() -> None:
    """Let threads do more between two switches.

    Where a switch takes longer than what is done between two, because the cores are busy with threads that
    spin in a library, hardly anything is ever done.
    """
    interval = sys.getswitchinterval()
    if interval < _USUAL_INTERVAL_S:
        sys.setswitchinterval(min(_USUAL_INTERVAL_S, 10 * interval))


def _taken_lock() -> _thread.LockType:
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock

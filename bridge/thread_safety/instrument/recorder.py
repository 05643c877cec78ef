"""What threads do, told to the detector: on which thread, in which call, at which place."""

from __future__ import annotations

import _thread
from collections.abc import Hashable
from typing import Any

from ..detector import (
    DOCUMENTED,
    ITERATE,
    READ,
    REORDER,
    WRITE,
    Access,
    Clock,
    Detector,
    Finding,
    Frame,
)
from ..libraries import Rule
from .shared_objects import Shared, short
from .threads import ThreadStates

#: The variable that stands for how a container is made up, beside its items.
STRUCTURE = "the structure"


class Recorder:
    """Tells the detector what the calling thread does. Any thread may call any method.

    Args:
        detector: is told of one thing after another, under ``lock``.
        threads: what is known of the calling thread.
        lock: reentrant, because keys of items may have an ``__eq__`` that is rewritten code.
    """

    def __init__(self, detector: Detector, threads: ThreadStates, lock: _thread.RLock) -> None:
        self.lock = lock
        self._detector = detector
        self._threads = threads

    # -- threads and calls ------------------------------------------------------------------

    @property
    def thread(self) -> int:
        """The number of the calling thread."""
        return self._threads.number

    def begin(self, call: Hashable) -> None:
        """A call begins on this thread, or goes on here after a pause."""
        self._threads.call = call
        with self.lock:
            self._detector.calls.begin(call)

    def pause(self) -> None:
        """The call on this thread goes on later."""
        self._threads.call = None

    def end(self) -> None:
        """The call on this thread has ended."""
        call, self._threads.call = self._threads.call, None
        with self.lock:
            self._detector.calls.end(call)

    def stack(self) -> tuple[Frame, ...]:
        """Where the calling thread is in the program, innermost first."""
        return self._threads.stacks.here()

    def stack_of(self, error: BaseException) -> tuple[Frame, ...]:
        """Where in the program an exception was raised, innermost first."""
        return self._threads.stacks.of_error(error)

    # -- locks and hand-overs ---------------------------------------------------------------

    def acquire(self, lock: Hashable) -> None:
        """This thread holds a lock from now on."""
        with self.lock:
            self._detector.order.acquire(self.thread, lock)

    def release(self, lock: Hashable, thread: int) -> None:
        """``thread`` holds it no more."""
        with self.lock:
            self._detector.order.release(thread, lock)

    def send(self) -> Clock:
        """What this thread has done so far, to be handed over."""
        with self.lock:
            return self._detector.order.send(self.thread)

    def receive(self, clock: Clock | None) -> None:
        """This thread was handed what another one had done; None: nothing."""
        if clock is not None:
            with self.lock:
                self._detector.order.receive(self.thread, clock)

    def receive_softly(self, clock: Clock | None) -> None:
        """The same, if the program keeps to what it does about its locks here."""
        if clock is not None:
            with self.lock:
                self._detector.order.receive_softly(self.thread, clock)

    def raw_acquired(self, lock: Any) -> None:
        """A lock that nobody traces was taken, perhaps once more."""
        depths = self._threads.depths
        depths[id(lock)] = depths.get(id(lock), 0) + 1
        if depths[id(lock)] == 1:
            self.acquire(_name_of(lock))

    def raw_released(self, lock: Any) -> None:
        """It is given back, perhaps for the last time."""
        depths = self._threads.depths
        depths[id(lock)] = depths.get(id(lock), 0) - 1
        if depths[id(lock)] <= 0:
            del depths[id(lock)]
            self.release(_name_of(lock), self.thread)

    # -- accesses ---------------------------------------------------------------------------

    def record(
        self,
        shared: Shared,
        part: Hashable,
        mode: str,
        name: str,
        rule: str | None = None,
        augmented: bool = False,
        stack: tuple[Frame, ...] | None = None,
    ) -> None:
        """This thread accesses a part of a shared object.

        Args:
            part: the name of an attribute; or of an item, ``("item", key)``; or some words that
                are no name, as ``STRUCTURE``. (A free-threaded Python finds a name far faster
                than a tuple that another thread has made.)
            mode: as of ``Detector.access``, as are ``rule`` and ``augmented``.
            name: what people know the part as.
            stack: where; default: here.
        """
        here = self._threads
        thread, stack = here.number, stack or here.stacks.here()
        call = here.call or thread
        with self.lock:
            if not shared.escaped and shared.owner != thread:
                shared.escaped = True
                self._detector.forget(shared.key)
            unfinished = shared.publisher is not None and shared.publisher == call
            self._detector.access(
                thread,
                shared.key,
                part,
                mode,
                name,
                stack,
                call,
                rule,
                unfinished,
                augmented,
            )

    def record_structure(
        self, shared: Shared, mode: str, stack: tuple[Frame, ...] | None = None
    ) -> None:
        """An access to how a container is made up: here, or at ``stack``."""
        self.record(shared, STRUCTURE, mode, shared.name, stack=stack)

    def record_item(self, shared: Shared, key: Any, mode: str, augmented: bool = False) -> None:
        """An access to one item of a container, or to a variable of a ``__dict__``."""
        of = shared.namespace_of
        if of is not None:
            self.record(of, key, mode, f"{of.name}.{key}", augmented=augmented)
            return
        try:
            name = f"{shared.name}[{short(key)}]"
            self.record(shared, ("item", key), mode, name, augmented=augmented)
        except TypeError:
            pass  # not hashable: the operation itself will say so

    def record_array(self, shared: Shared, mode: str) -> None:
        """The whole of an array: its structure races with itself, and with each of its rows."""
        self.record_structure(shared, {READ: ITERATE, WRITE: REORDER}[mode])

    def look_again(self, shared: Shared, key: Any) -> None:
        """Whatever was found at an item before: now it is looked at and changed in one step."""
        with self.lock:
            self._detector.look_again(self._threads.task, shared.key, ("item", key))

    def take_back(self, shared: Shared) -> None:
        """An object is where no other thread finds it: what comes is this thread's alone."""
        with self.lock:
            self._detector.forget(shared.key)
            shared.owner, shared.escaped, shared.publisher = self.thread, False, None

    # -- rules ------------------------------------------------------------------------------

    def record_use(self, rule: Rule) -> None:
        """This thread does what a rule is about. Outside of calls it may."""
        if self._threads.call is None:
            return
        stack, thread = self.stack(), self.thread
        with self.lock:
            if not rule.changes_process:
                name, call = rule.subject, self._threads.task
                self._detector.access(thread, name, "state", WRITE, name, stack, call, rule.advice)
                return
            locks = self._detector.order.held(thread)
            self._detector.report(
                Finding(
                    DOCUMENTED,
                    rule.subject,
                    "a call changes the state of the whole process, which all threads share",
                    rule.advice,
                    Access(thread, 0, "change", locks, stack, None),
                )
            )

    def report(self, finding: Finding) -> None:
        """Pass on what was found by other means than accesses, unless it is known."""
        with self.lock:
            self._detector.report(finding)


def _name_of(lock: Any) -> str:
    """What the detector knows a lock as that nobody traces."""
    return f"lock at {id(lock):#x}"

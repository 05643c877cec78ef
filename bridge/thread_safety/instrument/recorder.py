"""What threads do, told to the detector: on which thread, in which call, at which place."""

from __future__ import annotations

import _thread
from collections.abc import Callable, Hashable, Sequence
from types import FrameType
from typing import Any

from ..detector import (
    COPY,
    DOCUMENTED,
    ITERATE,
    OVERWRITE,
    READ,
    REORDER,
    SNAPSHOT,
    WALK,
    WRITE,
    Access,
    Clock,
    Detector,
    Finding,
    Frame,
    Written,
)
from ..libraries import Rule
from .faults import Faults
from .known_objects import KnownObjects, Shared, weakly
from .shared_objects import short
from .threads import ThreadStates
from .waiting import Waiting

#: The variable that stands for how a container is made up, beside its items.
STRUCTURE = "the structure"
#: The variable that stands for all items of a container, or all attributes of an object.
WHOLE = "all of it"
#: How the whole is used by who uses the structure in this mode.
_OF_WHOLE = {ITERATE: WALK, COPY: SNAPSHOT}
#: Where the only lock of a thread was taken does not matter.
_NOWHERE: tuple[Frame, ...] = ()


class Recorder:
    """Tells the detector what the calling thread does. Any thread may call any method.

    Args:
        detector: is told of one thing after another, under ``lock``.
        threads: what is known of the calling thread.
        lock: reentrant, because keys of items may have an ``__eq__`` that is rewritten code.
        faults: is told what goes wrong in the detector, which is nothing to the program.
        known: the objects that threads share; is told of the ends of calls.
    """

    def __init__(
        self,
        detector: Detector,
        threads: ThreadStates,
        lock: _thread.RLock,
        faults: Faults,
        known: KnownObjects,
    ) -> None:
        self.lock = lock
        self._known = known
        self.faults = faults
        #: Is told of the locks that threads wait for.
        self.waiting = Waiting(detector, threads, lock)
        #: What makes a call pause; None: calls are left alone.
        self.pause: Callable[[int], object] | None = None
        self._detector = detector
        self._threads = threads

    # -- threads and calls ------------------------------------------------------------------

    def point(self) -> None:
        """This thread comes to a point at which its call may pause."""
        here = self._threads
        if here.call is None:
            return
        here.points += 1
        pauses = here.pauses
        if pauses and here.points >= pauses[-1]:
            here.pauses = pauses[:-1]
            if self.pause is not None:
                self.pause(here.points)

    def follow(self) -> None:
        """From now on, note the branches that this thread takes as those of another call."""
        self._threads.path = set()

    def path(self) -> frozenset[str]:
        """The branches that the call on this thread has taken."""
        return frozenset(self._threads.path)

    def gave_up(self) -> None:
        """This thread did not get a lock that it did not wait for."""
        self._threads.gave_up = True

    @property
    def thread(self) -> int:
        """The number of the calling thread."""
        return self._threads.number

    def begin(self, call: Hashable, pauses: Sequence[int] = ()) -> None:
        """A call begins on this thread, or goes on here after a pause.

        Args:
            pauses: the points at which it shall pause; the first comes last.
        """
        here = self._threads
        here.call, here.points, here.pauses, here.gave_up = call, 0, pauses, False
        here.path, here.looked_for = set(), set()
        here.note_name()
        with self.lock:
            self._detector.calls.begin(call)

    def leave(self) -> None:
        """The call on this thread goes on later."""
        self._threads.call = None

    def end(self) -> tuple[int, bool]:
        """The call on this thread has ended.

        Returns:
            How many points it has come to, and whether it did without a lock that it did not get.
        """
        here = self._threads
        call, here.call = here.call, None
        with self.lock:
            self._detector.calls.end(call)
        self._known.let_go()
        return here.points, here.gave_up

    def stack(self) -> tuple[Frame, ...]:
        """Where the calling thread is in the program, innermost first."""
        return self._threads.stacks.here()

    def stack_of(self, error: BaseException) -> tuple[Frame, ...]:
        """Where in the program an exception was raised, innermost first."""
        return self._threads.stacks.of_error(error)

    def stacks_of_frames(self, frames: dict[int, FrameType]) -> dict[int, tuple[Frame, ...]]:
        """Where in the program other threads are, innermost first: by whatever names each frame."""
        stacks = self._threads.stacks
        return {name: stacks.of_frame(frame) for name, frame in frames.items()}

    # -- locks and hand-overs ---------------------------------------------------------------

    def acquire(self, lock: Hashable, waited: bool = True) -> None:
        """This thread holds a lock from now on.

        Args:
            waited: it would have waited for ever.
        """
        here = self._threads
        thread = here.number
        try:
            with self.lock:
                order = self._detector.order
                stack = here.stacks.here() if order.held(thread) else _NOWHERE
                self._detector.locks.taken(thread, lock, stack, here.call or thread, waited)
                order.acquire(thread, lock)
        except BaseException as error:
            self.faults.note(error)

    def release(self, lock: Hashable, thread: int) -> None:
        """``thread`` holds it no more."""
        try:
            with self.lock:
                self._detector.order.release(thread, lock)
                self._detector.locks.given(lock)
        except BaseException as error:
            self.faults.note(error)
        if self.pause is not None:
            self.point()

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

    def raw_acquired(self, lock: Any, waited: bool = True) -> None:
        """A lock that nobody traces was taken, perhaps once more."""
        depths = self._threads.depths
        depths[id(lock)] = depths.get(id(lock), 0) + 1
        if depths[id(lock)] == 1:
            self.acquire(_name_of(lock), waited)

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
        written: Written | None = None,
        plain: bool = False,
    ) -> None:
        """This thread accesses a part of a shared object.

        Args:
            part: the name of an attribute; or of an item, ``("item", key)``; or some words that
                are no name, as ``STRUCTURE``. (A free-threaded Python finds a name far faster
                than a tuple that another thread has made.)
            mode: as of ``Detector.access``, as are ``rule``, ``augmented``, ``written``, ``plain``.
            name: what people know the part as.
            stack: where; default: here.
        """
        here = self._threads
        thread = here.number
        call = here.call or thread
        try:
            stack = stack or here.stacks.here()
            with self.lock:
                shared.used = self._known.now
                if not shared.escaped and shared.owner != thread:
                    shared.escaped = True
                    self._detector.forget(shared.key)
                unfinished = shared.publisher is not None and shared.publisher == call
                self._detector.access(
                    thread, shared.key, part, mode, name, stack, call, rule, unfinished,
                    augmented, written, plain,
                )  # fmt: skip
        except BaseException as error:
            self.faults.note(error)
        if self.pause is not None:
            self.point()

    def record_structure(
        self, shared: Shared, mode: str, stack: tuple[Frame, ...] | None = None
    ) -> None:
        """An access to how a container is made up: here, or at ``stack``."""
        self.record(shared, STRUCTURE, mode, shared.name, stack=stack)
        of_whole = _OF_WHOLE.get(mode)
        if of_whole is not None:
            self.record_whole(shared, of_whole, stack)

    def record_whole(
        self, shared: Shared, mode: str, stack: tuple[Frame, ...] | None = None
    ) -> None:
        """An access to all items of a container, or all attributes of an object, as one."""
        shared = shared.namespace_of or shared
        shared.seen_whole = True
        self.record(shared, WHOLE, mode, shared.name, stack=stack)

    def record_overwriting(self, shared: Shared) -> None:
        """An item or attribute gets another value, of something that is looked at as a whole."""
        shared = shared.namespace_of or shared
        if shared.seen_whole:
            self.record(shared, WHOLE, OVERWRITE, shared.name)

    def record_item(
        self,
        shared: Shared,
        key: Any,
        mode: str,
        augmented: bool = False,
        written: Written | None = None,
    ) -> None:
        """An access to one item of a container, or to a variable of a ``__dict__``."""
        of = shared.namespace_of
        if of is not None:
            self.record(of, key, mode, f"{of.name}.{key}", augmented=augmented)
            return
        try:
            hash(key)
            name = f"{shared.name}[{short(key)}]"
            key = weakly(key)
        except BaseException:
            return  # not hashable: the operation itself will say so
        self.record(shared, ("item", key), mode, name, augmented=augmented, written=written)

    def record_array(self, shared: Shared, mode: str, array: Any) -> None:
        """All that ``array`` shows, the shared one or a view of it: parts of those are not compared."""
        whole = shared.number == id(array)
        self.record(shared, STRUCTURE, {READ: ITERATE, WRITE: REORDER}[mode], shared.name)
        if whole and mode == WRITE:
            self.record_overwriting(shared)
        elif whole:
            self.record_whole(shared, WALK)

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

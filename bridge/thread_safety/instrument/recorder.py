"""What rewritten code tells the detector: on which thread, in which call, at which place.

The lowest layer of the probe. Accesses are told by ``tell`` and what is beside it; the threads of
the program say here which locks they hold, and what they hand over.
"""

from __future__ import annotations

import _thread
import itertools
import threading
import types

from ..detector.access_modes import ITERATE, READ, REORDER, WRITE
from .builtins import CONTAINERS, is_a, is_array
from .shared_objects import SharedObjects, short
from .stacks import Stacks, place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

    from ..detector.detector import Detector
    from ..detector.findings import Frame
    from ..detector.happens_before import Clock
    from ..libraries.rules import Rules
    from .shared_objects import Shared

#: The variable that stands for how a container is made up, beside its items.
STRUCTURE = "the structure"
#: What ``threading.Lock()`` and ``RLock()`` are while nobody traces them.
RAW_LOCKS = (type(_thread.allocate_lock()), type(_thread.RLock()))


class Teller:
    """Knows what is shared, and what each thread does. Any thread may call any method.

    ``is_own``: does a module, by its name, belong to the program that is checked? ``rules``: what
    is documented about the objects and functions of libraries.
    """

    def __init__(
        self, detector: Detector, is_own: Callable[[str], bool], rules: Rules | None = None
    ) -> None:
        self._detector = detector
        self._is_own = is_own
        self._rules = rules
        # reentrant: keys of items may have an __eq__ that is rewritten code
        self.lock = _thread.RLock()
        self._shared = SharedObjects(is_own, rules, self.lock)
        self._threads = _Threads(is_own)

    # -- what is shared ---------------------------------------------------------------------

    def watch(self, root: Any, name: str) -> None:
        """Note an object, and all that it leads to now, as known to every thread."""
        self._shared.watch(root, name)

    def watch_module(self, module: types.ModuleType) -> None:
        """Watch the globals of a module, and the data of its classes."""
        self._shared.watch_module(module)

    def _share(self, value: Any, name: str) -> None:
        self._shared.share(value, name, self.thread)

    def _publish(self, value: Any, name: str, *, deep: bool = False) -> None:
        self._shared.publish(value, name, self._threads.call or self.thread, deep)

    # -- threads and calls ------------------------------------------------------------------

    @property
    def thread(self) -> int:
        """The number of the calling thread. (What ``threading`` says is used again.)"""
        return self._threads.number

    @property
    def in_call(self) -> bool:
        """Does the calling thread run a call?"""
        return self._threads.call is not None

    def begin(self, call: Hashable) -> None:
        """A call begins on this thread, or goes on here after a pause."""
        self._threads.call = call
        with self.lock:
            self._detector.calls.begin(call)

    def pause(self) -> None:
        """The call on this thread goes on later."""
        self._threads.call = None

    def end(self, function: Any, name: str, result: Any = None) -> None:
        """The call on this thread has ended: that of ``function``, which is known as ``name``.

        ``result`` will be read after all its locks are free.
        """
        for value in (result, *(result.values() if type(result) is dict else ())):
            shared = self._shared.known(value)
            if shared is not None and (is_a(value, CONTAINERS) or is_array(value)):
                stack = (place_of(function, name),)
                self.tell(shared, STRUCTURE, ITERATE, shared.name, stack=stack)
        call, self._threads.call = self._threads.call, None
        with self.lock:
            self._detector.calls.end(call)

    def stack(self) -> tuple[Frame, ...]:
        """Where the calling thread is in the program."""
        return self._threads.stacks.here()

    def stack_of(self, error: BaseException) -> tuple[Frame, ...]:
        """Where in the program an exception was raised."""
        return self._threads.stacks.of_error(error)

    # -- locks and hand-overs ---------------------------------------------------------------

    def locks(self) -> frozenset[Hashable]:
        """The locks that the calling thread holds."""
        with self.lock:
            return self._detector.order.held(self.thread)

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
        """This thread was handed what another one had done."""
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

    def tell(
        self,
        shared: Shared,
        part: Hashable,
        mode: str,
        name: str,
        rule: str | None = None,
        augmented: bool = False,
        stack: tuple[Frame, ...] | None = None,
    ) -> None:
        """This thread accesses a part of a shared object: here, or at ``stack``.

        ``part``: the name of an attribute; or of an item, ``("item", key)``; or some words that
        are no name, as ``STRUCTURE``. (A free-threaded Python finds a name far faster than a tuple
        that another thread has made.)
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

    def tell_rule(self, owner: str, name: str, rule: str) -> None:
        """This thread uses a module whose functions must not run at the same time."""
        stack = self.stack()
        with self.lock:
            call = self._threads.call or self.thread
            self._detector.access(self.thread, owner, "state", WRITE, name, stack, call, rule)

    def _tell_structure(self, shared: Shared, mode: str) -> None:
        self.tell(shared, STRUCTURE, mode, shared.name)

    def _tell_item(self, shared: Shared, key: Any, mode: str, augmented: bool = False) -> None:
        of = shared.namespace_of
        if of is not None:
            self.tell(of, key, mode, f"{of.name}.{key}", augmented=augmented)
            return
        try:
            name = f"{shared.name}[{short(key)}]"
            self.tell(shared, ("item", key), mode, name, augmented=augmented)
        except TypeError:
            pass  # not hashable: the operation itself will say so

    def _tell_array(self, shared: Shared, mode: str) -> None:
        """The whole of an array: its structure races with itself, and with each of its rows."""
        self._tell_structure(shared, {READ: ITERATE, WRITE: REORDER}[mode])


def _name_of(lock: Any) -> str:
    """What the detector knows a lock as that nobody traces."""
    return f"lock at {id(lock):#x}"


class _Threads(threading.local):
    """Of each thread: a number that no other thread ever has, and the call that it runs."""

    _numbers = itertools.count(1)

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self.number = next(self._numbers)
        self.call: Hashable = None
        #: How often each lock that nobody traces is held.
        self.depths: dict[int, int] = {}
        self.stacks = Stacks(is_own)

"""The probe: what rewritten code calls in the place of each operation.

It does the operation, and tells of shared objects in it. For an object that is not shared, each
costs a look into a dictionary.
"""

from __future__ import annotations

import _thread
import os
import weakref
from collections.abc import Callable, Hashable
from itertools import count
from types import ModuleType
from typing import Any

from ..detector import Detector
from ..libraries import Rules
from .calls import Calls
from .containers import Containers
from .decisions import Decisions
from .documented import DocumentedObjects
from .faults import Faults
from .lock_names import LockNames
from .losses import Losses
from .operations import CALLS, CONTAINERS, DECISIONS, VARIABLES
from .recorder import Recorder
from .shared_objects import SharedObjects
from .thread_locals import ThreadLocals
from .threads import ThreadStates
from .variables import Variables


class Probe:
    """All parts together. Any thread may call any method.

    ``recorder`` tells the detector what a thread does; with it work the operations on containers,
    on variables that have a name, on what calls decide by, and calls.

    Args:
        detector: is told what happens.
        is_own: says of a module, by its name, whether it belongs to the program.
        rules: what is documented about libraries.
        faults: is told what goes wrong here, which is nothing to the program; default: nobody is.
        losses: is told what finds no place; default: nobody is.
    """

    def __init__(
        self,
        detector: Detector,
        is_own: Callable[[str], bool],
        rules: Rules,
        faults: Faults | None = None,
        losses: Losses | None = None,
    ) -> None:
        faults = faults or Faults(lambda text: None)
        losses = losses or Losses(lambda text: None)
        detector.lost = losses.lost
        lock = _thread.RLock()
        _free_in_children(lock)
        threads = ThreadStates(is_own, count(1), {})
        shared = SharedObjects(is_own, rules, threads, lock, detector.forget, losses.lost, faults)
        recorder = Recorder(detector, threads, lock, faults, shared.known_objects)
        documented = DocumentedObjects(recorder, rules)
        containers = Containers(shared, recorder, rules, documented)
        thread_locals = ThreadLocals(threads, recorder)
        variables = Variables(shared, recorder, containers, thread_locals, rules, documented)
        decisions = Decisions(detector, threads, recorder, containers)
        calls = Calls(is_own, shared, recorder, containers, variables, rules, documented)
        detector.locks.name_of = LockNames(shared).name_of
        self._detector = detector
        self._shared = shared
        self._threads = threads
        self.recorder = recorder
        #: For locks and hand-overs, where programs decide by what they wait for.
        self.decisions = decisions
        self._containers = containers
        self._calls = calls
        self._operations = {
            VARIABLES: variables, CONTAINERS: containers, DECISIONS: decisions, CALLS: calls
        }  # fmt: skip

    def install(self, module: ModuleType) -> None:
        """Put what rewritten code calls into its module."""
        vars(module).update(self._operations)

    def tell_imports(self, imported: Callable[..., object]) -> None:
        """``imported(module, *names)`` is called after each import of rewritten code."""
        self._calls.imported = imported

    def look(self, wanted: bool) -> None:
        """Whether accesses, and the order in which locks are taken, count."""
        self._detector.locks.enabled = self._detector.looks = wanted

    def returned(self, result: Any, function: Any, name: str) -> None:
        """A call of ``function``, known as ``name``, returns ``result`` to whoever reads it."""
        self._containers.returned(result, function, name)

    def thread_names(self) -> dict[Hashable, str]:
        """The names of threads, by their numbers; of those that have told any."""
        return dict(self._threads.names)

    def watch(self, root: Any, name: str) -> None:
        """Note an object, and all that it leads to now, as known to every thread."""
        self._shared.watch(root, name)

    def watch_module(self, module: ModuleType) -> None:
        """Watch the globals of a module, and the data of its classes."""
        self._shared.watch_module(module)


def _free_in_children(lock: Any) -> None:
    """Let a child of a fork begin with the lock free: whoever held it is not there."""
    reference = weakref.ref(lock)

    def reinit() -> None:
        lock = reference()
        if lock is not None:
            lock._at_fork_reinit()

    os.register_at_fork(after_in_child=reinit)

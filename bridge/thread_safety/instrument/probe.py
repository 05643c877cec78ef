"""The probe: what rewritten code calls in the place of each operation.

It does the operation, and tells of shared objects in it. For an object that is not shared, each
costs a look into a dictionary.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..detector import Detector
from ..libraries import Rules
from .calls import Calls
from .containers import Containers
from .decisions import Decisions
from .operations import CALLS, CONTAINERS, DECISIONS, VARIABLES
from .recorder import Recorder
from .shared_objects import SharedObjects
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
    """

    def __init__(self, detector: Detector, is_own: Callable[[str], bool], rules: Rules) -> None:
        lock = _thread.RLock()
        threads = ThreadStates(is_own)
        shared = SharedObjects(is_own, rules, threads, lock)
        recorder = Recorder(detector, threads, lock)
        containers = Containers(shared, recorder, rules)
        variables = Variables(shared, recorder, containers)
        decisions = Decisions(detector, threads, recorder, containers)
        calls = Calls(is_own, shared, recorder, containers, variables, rules)
        self._shared = shared
        self.recorder = recorder
        #: For locks and hand-overs, where programs decide by what they wait for.
        self.decisions = decisions
        self._containers = containers
        self._operations = {
            VARIABLES: variables, CONTAINERS: containers, DECISIONS: decisions, CALLS: calls
        }  # fmt: skip

    def install(self, module: ModuleType) -> None:
        """Put what rewritten code calls into its module."""
        vars(module).update(self._operations)

    def returned(self, result: Any, function: Any, name: str) -> None:
        """A call of ``function``, known as ``name``, returns ``result`` to whoever reads it."""
        self._containers.returned(result, function, name)

    def watch(self, root: Any, name: str) -> None:
        """Note an object, and all that it leads to now, as known to every thread."""
        self._shared.watch(root, name)

    def watch_module(self, module: ModuleType) -> None:
        """Watch the globals of a module, and the data of its classes."""
        self._shared.watch_module(module)

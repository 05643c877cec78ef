"""What rewritten code does with objects of libraries of which the table knows what changes them."""

from __future__ import annotations

from typing import Any

from ..detector import READ, WRITE
from ..libraries import WRITES, Rules, module_of_type
from .faults import guarded
from .known_objects import Shared
from .recorder import Recorder


class DocumentedObjects:
    """Tells of uses of shared objects by the effect that is known of them. For any thread.

    Args:
        recorder: is told of each use.
        rules: what is known.
    """

    def __init__(self, recorder: Recorder, rules: Rules) -> None:
        self.faults = recorder.faults
        self._recorder = recorder
        self._rules = rules

    @guarded
    def use(self, value: Any, shared: Shared, name: str) -> bool:
        """A method, an operator or an attribute of an object is used. Returns whether it has a rule."""
        kind = type(value)
        rule = self._rules.for_type(kind)
        if rule is None:
            return False
        mode = WRITE if self._rules.effect(kind, name) == WRITES else READ
        self._recorder.record(shared, "its state", mode, shared.name, rule.advice)
        return True

    @guarded
    def read(self, value: Any, shared: Shared) -> bool:
        """An object is handed to somebody, who looks at it. Returns whether it has a rule."""
        rule = self._rules.for_type(type(value))
        if rule is None or not self._rules.has_effects(type(value)):
            return False
        self._recorder.record(shared, "its state", READ, shared.name, rule.advice)
        return True

    @guarded
    def write(self, value: Any, shared: Shared) -> bool:
        """An attribute of an object is written. Returns whether it has a rule."""
        rule = self._rules.for_type(type(value))
        if rule is None:
            return False
        self._recorder.record(shared, "its state", WRITE, shared.name, rule.advice)
        return True

    def has_rule(self, value: Any) -> bool:
        """Whether anything is documented about sharing such objects."""
        return self._rules.for_type(type(value)) is not None


def viewed(value: Any) -> Any:
    """The object that another one stands for, as ``frame.loc`` for ``frame``."""
    kind = type(value)
    if module_of_type(kind) == "pandas.core.indexing":
        return getattr(value, "obj", value)
    return value

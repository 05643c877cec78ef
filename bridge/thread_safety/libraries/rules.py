"""What is documented about the types and functions that a program uses: a look-up in the table."""

from __future__ import annotations

import os
import sys
import types
from typing import Any

from .effects import WRITES, Effects
from .table import Libraries, Library, is_worse
from .type_names import module_of_type, qualname_of_type

#: Watched by the operations themselves, not by calls.
_WATCHED = frozenset(["numpy", "builtins", "array", "collections"])
#: The methods of ``os.environ`` that change nothing.
_LOOKS_AT_ENVIRONMENT = frozenset(["get", "copy", "items"])
#: Settings of libraries that are mappings, by the name of their type.
_GLOBAL_MAPPINGS = {"RcParams": "matplotlib.rcParams"}
_CHANGES_MAPPING = frozenset(["update", "setdefault", "pop", "popitem", "clear"])
#: Those that are written as attributes.
_OPTIONS = "DictWrapper", "pandas._config.config", "set_option"
_OF_MODULE = "a module is one for the process: pass it as an argument, or set it once in setup()"
_STREAMS = frozenset(["stdin", "stdout", "stderr"])
#: Modules of the standard library that define what another one offers.
_OFFERED_BY = {"posix": "os", "_signal": "signal", "_py_warnings": "warnings"}


class Rule:
    """What is documented about a use of a library.

    Args:
        subject: what it is about: a library, or one function of it, as ``os.chdir``.
        advice: the rule in words, with its source.
        changes_process: it is about a change of the whole process, which no call should make;
            otherwise about a use that must not happen on two threads at once.
    """

    __slots__ = ("subject", "advice", "changes_process")

    def __init__(self, subject: str, advice: str, *, changes_process: bool = False) -> None:
        self.subject = subject
        self.advice = advice
        self.changes_process = changes_process


class _Entry:
    """What the table has about a function. ``part``: it, and not only its library, is named."""

    __slots__ = ("level", "library", "part", "title")

    def __init__(self, title: str, library: Library, level: str, part: bool) -> None:
        self.title = title
        self.library = library
        self.level = level
        self.part = part

    @property
    def is_rule(self) -> bool:
        """Whether it works on the state of the process, or of its module, as those of pyplot."""
        on_module = self.level == "compatible" and "." in self.library.modules[0]
        return self.level == "incompatible" or on_module


class Rules:
    """Looks up what is documented; changes nothing, tells nobody. For any thread.

    Args:
        libraries: the table.
    """

    def __init__(self, libraries: Libraries) -> None:
        self._table = libraries
        self._effects = Effects()
        self._types: dict[type, Rule | None] = {}
        self._functions: dict[tuple[str, str], _Entry | None] = {}

    def for_type(self, kind: type) -> Rule | None:
        """What is documented against sharing objects of a type; None if it is safe, or unknown."""
        if kind not in self._types:
            self._types[kind] = self._find_type(kind)
        return self._types[kind]

    def effect(self, kind: type, name: str) -> str:
        """``READS`` or ``WRITES``: what a method, operator or attribute does to an object of a type."""
        found = self._effects.for_type(kind)
        return WRITES if found is None else found.of(name)

    def has_effects(self, kind: type) -> bool:
        """Whether it is known which uses of objects of a type only read."""
        return self._effects.for_type(kind) is not None

    def concerns(self, function: Any, bound: Any) -> bool:
        """Whether there may be a rule for calls of ``function``, a method of ``bound``.

        Args:
            bound: what it is a method of; None: of nothing.

        Returns:
            False if neither ``for_type`` nor ``for_call`` ever has one; always the same for a
            function, and for all methods of this name of objects of one type.
        """
        if bound is os.environ or self.for_type(type(bound)) is not None:
            return True
        if qualname_of_type(type(bound)) in _GLOBAL_MAPPINGS:
            return True
        entry = self._entry_of(function, bound)
        return entry is not None and entry.is_rule

    def for_call(self, function: Any, bound: Any) -> Rule | None:
        """What is documented against a call of ``function``, a method of ``bound``, from tools."""
        if bound is os.environ and _name(function) not in _LOOKS_AT_ENVIRONMENT:
            return self._environment()
        if qualname_of_type(type(bound)) in _GLOBAL_MAPPINGS:
            changes = _name(function) in _CHANGES_MAPPING
            return self.for_item_change(bound) if changes else None
        entry = self._entry_of(function, bound)
        if entry is None or not entry.is_rule:
            return None
        if not entry.part:
            return Rule(entry.library.name, entry.library.advice())
        # a method of the same name, of another object than the global one, is none of these
        is_global = entry.level == "incompatible" and _resolve(entry.title) == function
        return _process_rule(entry) if is_global else None

    def for_item_change(self, container: Any) -> Rule | None:
        """What is documented against ``container[…] = …`` and ``del container[…]`` in tools."""
        if container is os.environ:
            return self._environment()
        module, name = module_of_type(type(container)), qualname_of_type(type(container))
        if name not in _GLOBAL_MAPPINGS or _resolve(_GLOBAL_MAPPINGS[name]) is not container:
            return None
        entry = self._entry(module, _GLOBAL_MAPPINGS[name].rpartition(".")[2])
        return None if entry is None else _process_rule(entry)

    def for_attribute_change(self, object: Any, name: str) -> Rule | None:
        """What is to be said against ``object.name = …`` in tools, where nobody watches the object."""
        kind = type(object)
        if kind is types.ModuleType:
            if object.__name__ == "sys" and name in _STREAMS:
                return None  # they are compared before and after a call
            return Rule(f"{object.__name__}.{name}", _OF_MODULE, changes_process=True)
        if kind.__name__ == _OPTIONS[0] and module_of_type(kind) == _OPTIONS[1]:
            entry = self._entry(*_OPTIONS[1:])
            return None if entry is None else _process_rule(entry)
        return None

    # -- parts ------------------------------------------------------------------------------

    def _find_type(self, kind: type) -> Rule | None:
        effect = self._effects.for_type(kind)
        if effect is not None:
            known = next((each for each in self._table if each.name == effect.library), None)
            return None if known is None else Rule(known.name, known.advice())
        found = self._table.for_type(kind)
        if found is None or found[0].name in _WATCHED:
            return None
        library, level = found
        named = any(
            part.type.rpartition(".")[2] == qualname_of_type(kind).rpartition(".")[2]
            for part in library.objects
        )
        if is_worse(level, "shared_objects") and (named or not library.standard):
            return Rule(library.name, library.advice())
        return None

    def _environment(self) -> Rule | None:
        entry = self._entry("os", "environ")
        return None if entry is None else _process_rule(entry)

    def _entry_of(self, function: Any, bound: Any) -> _Entry | None:
        is_type = issubclass(type(function), type)
        module = module_of_type(function) if is_type else getattr(function, "__module__", None)
        name = getattr(function, "__qualname__", None) or ""
        if module is None and bound is not None:
            module = module_of_type(type(bound))
        if not isinstance(module, str) or module == "builtins" or not name:
            return None
        return self._entry(module, name)

    def _entry(self, module: str, name: str) -> _Entry | None:
        key = module, name
        if key not in self._functions:
            self._functions[key] = self._find_function(_OFFERED_BY.get(module, module), name)
        return self._functions[key]

    def _find_function(self, module: str, name: str) -> _Entry | None:
        title = f"{module}.{name}"
        found = self._table.for_name(title)
        if found is None:
            return None
        library, level = found
        last = name.rpartition(".")[2]
        for part in library.objects:
            if part.type.rpartition(".")[2] == last:
                return _Entry(part.type, library, part.level, True)
        # of the standard library only what is named: the rest is harmless
        return None if library.standard else _Entry(title, library, level, False)


def _process_rule(entry: _Entry) -> Rule:
    library = entry.library
    caveats = (part.caveat for part in library.objects if part.type == entry.title)
    caveat = next(caveats, library.caveat)
    advice = f"{caveat} {library.workaround} See {library.sources[0]}"
    return Rule(entry.title, advice, changes_process=True)


def _resolve(title: str) -> Any:
    """What a qualified name means now, without importing anything; None if nothing."""
    module, _, name = title.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def _name(function: Any) -> str:
    return getattr(function, "__name__", "")

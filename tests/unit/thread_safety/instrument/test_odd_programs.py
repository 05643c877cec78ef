"""A watched program does what it does without a check, whatever its objects do when they are looked at."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bridge.thread_safety import ThreadSafetyChecker

HERE = Path(__file__).parent
NAMES = [
    (file, line.split("(")[0].removeprefix("def "))
    for file in ("odd_objects", "odd_programs")
    for line in (HERE / f"{file}.py").read_text().splitlines()
    if line.startswith("def t_")
]


def outcome(function: Callable[[], object]) -> str:
    try:
        return repr(function())
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


@functools.cache
def plain(file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"plain_{file}", HERE / f"{file}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for pickle
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ThreadSafetyChecker, dict[str, ModuleType]]]:
    folder = tmp_path_factory.mktemp("odd")
    for file in ("odd_objects", "odd_programs"):
        shutil.copy(HERE / f"{file}.py", folder)
    sys.path.insert(0, str(folder))
    try:
        with ThreadSafetyChecker(directory=str(folder), note=lambda finding: None) as checker:
            files = ("odd_objects", "odd_programs")
            yield checker, {file: importlib.import_module(file) for file in files}
    finally:
        sys.path.remove(str(folder))
        for file in ("odd_objects", "odd_programs"):
            sys.modules.pop(file, None)
            sys.modules.pop(f"plain_{file}", None)


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_a_watched_program_does_the_same(
    file: str, name: str, watched: tuple[ThreadSafetyChecker, dict[str, ModuleType]]
) -> None:
    checker, modules = watched
    expected = outcome(getattr(plain(file), name))
    function = checker.wrap(getattr(modules[file], name), name)
    assert outcome(function) == expected


def test_what_the_check_could_not_look_at_is_told_as_its_own_fault(
    watched: tuple[ThreadSafetyChecker, dict[str, ModuleType]],
) -> None:
    checker, modules = watched
    name = "t_metaclass_hash_data"
    outcome(checker.wrap(getattr(modules["odd_objects"], name), name))
    assert any("SystemExit" in fault for fault in checker.report().faults)

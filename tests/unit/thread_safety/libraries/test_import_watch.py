"""The watch for imports of libraries that are unsafe."""

import builtins
import importlib
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from bridge.thread_safety.detector import Detector
from bridge.thread_safety.instrument import ImportHook, Probe, ProgramModules
from bridge.thread_safety.libraries import ImportWatch, Libraries, Rules

LIBRARIES = Libraries()


def elsewhere(function, *arguments):
    """What a function returns, or raises, on a thread that lives for this call."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Throw-away packages named like libraries, and modules of an adapter that import them."""

    def write(name, source=""):
        path = tmp_path.joinpath(*name.split("."))
        if source is None:
            path.mkdir(parents=True, exist_ok=True)
            path = path / "__init__"
        path.with_suffix(".py").write_text(source or "")

    for name in ("cv2", "orjson", "httpx"):
        write(name)
    for name in ("matplotlib", "google", "google.protobuf", "own"):
        write(name, None)
    write("matplotlib.pyplot", "import cv2\n")
    write("matplotlib.figure", "class Figure: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(sys.modules)
    shadowed = ("cv2", "orjson", "httpx", "matplotlib", "google", "own")
    for name in before:
        if name.partition(".")[0] in shadowed:
            del sys.modules[name]
    importlib.invalidate_caches()
    yield write
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.modules.update(before)


@contextmanager
def watched(note, **options):
    """While a watch is entered: what it notes of the modules of ``own``, which are rewritten."""
    modules = ProgramModules(("own",), None)
    is_own = modules.rewritten.__contains__
    probe = Probe(Detector(lambda finding: None), is_own, Rules(LIBRARIES))
    imports = ImportWatch(LIBRARIES, note, is_own, **options)
    probe.tell_imports(imports.imported)
    hook = ImportHook(modules, probe)
    hook.install()
    try:
        with imports:
            if "own.tools" in sys.modules:
                hook.rewrite_loaded(sys.modules["own.tools"])
            yield
    finally:
        hook.remove()


@pytest.fixture
def watch():
    """What makes such a watch, and what it noted."""
    noted = []

    def note(library, module, thread):
        noted.append((library.name, module, thread))

    def make(**options):
        return watched(note, **options)

    make.noted = noted
    before = builtins.__import__, importlib.import_module
    yield make
    assert (builtins.__import__, importlib.import_module) == before


def names(noted):
    return [name for name, _, _ in noted]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import matplotlib.pyplot as plt", ["matplotlib.pyplot"]),
        ("from matplotlib import pyplot", ["matplotlib.pyplot"]),
        ("from matplotlib.figure import Figure", ["matplotlib"]),
        ("from matplotlib import *", ["matplotlib"]),
        ("import cv2, orjson", ["opencv", "orjson"]),
        ("from google import protobuf", ["protobuf"]),
        ("import google", []),
        ("import httpx, os, sqlite3", []),
        ("from . import other", []),
        ("import importlib; importlib.import_module('cv2')", ["opencv"]),
        ("from importlib import import_module; import_module('cv2')", ["opencv"]),
        ("__import__('cv2')", ["opencv"]),
        ("try:\n    import spacy\nexcept ImportError: pass", []),
    ],
)
def test_an_unsafe_import_is_noted_at_the_top_of_a_module(packages, watch, statement, expected):
    packages("own.other")
    packages("own.tools", statement)
    with watch():
        importlib.import_module("own.tools")
    thread = threading.get_ident()
    assert watch.noted == [(name, "own.tools", thread) for name in expected]


def test_a_lazy_import_is_noted_on_the_thread_of_the_call(packages, watch):
    packages("own.tools", "def draw():\n    import matplotlib.pyplot\n")
    with watch():
        tools = importlib.import_module("own.tools")
        assert watch.noted == []
        thread = elsewhere(lambda: (tools.draw(), threading.get_ident())[1])
    assert watch.noted == [("matplotlib.pyplot", "own.tools", thread)]


def test_a_module_that_somebody_else_imported_is_noted_all_the_same(packages, watch):
    importlib.import_module("cv2")
    packages("own.tools", "import cv2")
    with watch():
        importlib.import_module("own.tools")
    assert names(watch.noted) == ["opencv"]


def test_what_libraries_import_themselves_does_not_count(packages, watch):
    """matplotlib.pyplot imports cv2 here; so does this very module, which is not the adapter's."""
    packages("own.tools", "from matplotlib import pyplot")
    with watch():
        importlib.import_module("own.tools")
        import cv2  # noqa: F401
    assert names(watch.noted) == ["matplotlib.pyplot"]


def test_a_library_is_noted_once_by_however_many_threads(packages, watch):
    packages("own.tools", "def tool():\n    import cv2\n    import orjson\n")
    with watch():
        tools = importlib.import_module("own.tools")
        barrier = threading.Barrier(8)

        def call(_):
            barrier.wait()
            for _ in range(100):
                tools.tool()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call, range(8)))
    assert sorted(names(watch.noted)) == ["opencv", "orjson"]


def test_the_bar_can_be_lowered(packages, watch):
    packages("own.tools", "import cv2\nimport matplotlib.pyplot")
    with watch(safe="distinct_objects"):
        importlib.import_module("own.tools")
    assert names(watch.noted) == ["matplotlib.pyplot"]


def test_what_note_raises_comes_out_of_the_import(packages):
    packages("own.tools", "import cv2")

    def note(library, module, thread):
        raise ImportError(library.advice())

    with (
        watched(note),
        pytest.raises(ImportError, match="opencv is safe while each thread has its own objects"),
    ):
        importlib.import_module("own.tools")


def test_the_watch_ends_and_can_begin_again(packages, watch):
    packages("own.tools", "def tool():\n    import cv2\n")
    tools = importlib.import_module("own.tools")
    with watch():
        pass
    tools.tool()
    assert watch.noted == []
    with watch():
        tools.tool()
    assert names(watch.noted) == ["opencv"]


def test_wrappers_may_go_in_any_order(packages):
    noted = []
    imports = [
        ImportWatch(LIBRARIES, lambda library, *_: noted.append(library.name), lambda name: True)
        for _ in range(2)
    ]
    before = importlib.import_module
    for each in imports:
        each.__enter__()
    imports[0].__exit__(None, None, None)
    importlib.import_module("cv2")
    assert noted == ["opencv"]
    imports[1].__exit__(None, None, None)
    importlib.import_module("orjson")
    assert noted == ["opencv"]
    importlib.import_module = before


def test_what_extension_modules_call_to_import_runs_no_python_code(packages, watch):
    """One that holds a guard of C++ meanwhile would keep those that wait for it from ever going on."""
    packages("own.tools", "def tool():\n    import json\n    return json\n")
    before = builtins.__import__
    with watch():
        importlib.import_module("own.tools").tool()
        assert builtins.__import__ is before


def test_imports_behave_as_before(packages, watch):
    packages("own.tools", "import matplotlib.figure\nfrom . import other\nroot = matplotlib")
    packages("own.other", "import nothing_of_that_name")
    with watch(), pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("own.tools")
    assert caught.value.name == "nothing_of_that_name"
    with watch():
        assert __import__("os.path") is os
        assert importlib.import_module(".path", "os") is os.path
        assert eval("__import__('json', None, None, ['dumps'])", {}) is json

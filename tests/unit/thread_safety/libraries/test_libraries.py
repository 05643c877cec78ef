"""The library table: its form, the look-ups, the watch for imports, and what can be tried out."""

import asyncio
import builtins
import calendar
import contextlib
import csv
import decimal
import functools
import importlib
import io
import itertools
import json
import locale
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bridge.thread_safety.libraries import ImportWatch, Libraries
from bridge.thread_safety.libraries.page import page
from bridge.thread_safety.libraries.table import AFFINITIES, LEVELS, is_worse, level_in_words
from tests.waiting import WAIT_S

ROOT = Path(__file__).parents[4]
LIBRARIES = Libraries()
TABLE = list(LIBRARIES)
STANDARD = [library for library in TABLE if library.standard]
each_library = pytest.mark.parametrize("library", TABLE, ids=lambda library: library.name)
each_standard = pytest.mark.parametrize("library", STANDARD, ids=lambda library: library.name)


def elsewhere(function, *arguments):
    """What a function returns, or raises, on a thread that lives for this call."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


# --- The form of the table ---


@each_library
def test_an_entry_has_all_fields_in_their_form(library):
    assert library.name
    assert library.modules
    assert library.level in LEVELS
    assert library.affinity in {None, *AFFINITIES}
    assert library.gil_released in {"yes", "no", "partly", "unknown"}
    version = library.free_threaded_since
    assert version in {"none", "unknown", "pure"} or version.replace(".", "").isdigit()
    for sentence in (
        library.caveat,
        library.workaround,
        *(part.caveat for part in library.objects),
    ):
        assert sentence[0].isupper() or sentence.startswith(("lru_cache", "packb"))
        assert sentence.endswith(".")
        assert not sentence[:-1].endswith(".")
        assert 20 < len(sentence) < 240
    for part in library.objects:
        assert part.level in LEVELS
        assert part.affinity in {None, *AFFINITIES}
        different = part.level != library.level or part.affinity != library.affinity
        assert different, f"{part.type} says nothing that its library does not"


@each_library
def test_an_entry_names_its_sources(library):
    assert library.sources
    assert len(set(library.sources)) == len(library.sources)
    assert all(url.startswith("https://") and " " not in url for url in library.sources)


@each_library
def test_objects_belong_to_the_modules_of_their_library(library):
    for part in library.objects:
        assert LIBRARIES.for_module(part.type) is library


def test_the_table_is_large_and_nothing_stands_in_it_twice():
    assert len(TABLE) - len(STANDARD) >= 40
    names = [library.name.lower() for library in TABLE]
    modules = [module for library in TABLE for module in library.modules]
    objects = [part.type for library in TABLE for part in library.objects]
    for values in (names, modules, objects):
        assert len(set(values)) == len(values)


def test_standard_modules_are_harmless_to_import():
    assert {library.level for library in STANDARD} == {"shared_objects"}
    assert len(STANDARD) >= 15


def test_every_level_is_put_in_words_and_in_order():
    assert list(LEVELS) == [
        *("incompatible", "compatible", "distinct_objects", "shared_objects", "atomic")
    ]
    assert is_worse("incompatible", "compatible")
    assert not is_worse("atomic", "atomic")
    assert "thread that made it" in level_in_words("distinct_objects", "creating_thread")


def test_the_page_of_the_documentation_is_up_to_date():
    written = (ROOT / "docs" / "library-compatibility.md").read_text()
    command = [sys.executable, "-m", "bridge.thread_safety.libraries"]
    printed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert printed.stderr == ""
    assert written == printed.stdout, "run: " + " ".join(["python", *command[1:]])
    for library in TABLE:
        assert f"### {library.name}\n" in written
        assert all(url in written for url in library.sources)


# --- Look-ups ---


def test_modules_are_found_by_their_longest_known_prefix():
    def name(module):
        library = LIBRARIES.for_module(module)
        return library and library.name

    assert name("matplotlib") == "matplotlib"
    assert name("matplotlib.figure") == "matplotlib"
    assert name("matplotlib.pyplot") == "matplotlib.pyplot"
    assert name("matplotlib.pyplot.style") == "matplotlib.pyplot"
    assert name("google.protobuf.message") == "protobuf"
    assert name("numpyro") is name("google") is name("google.auth") is name("") is None
    assert name(".") is name("PySide6.QtCore") is None


@pytest.mark.parametrize(
    ("type", "name", "level"),
    [
        (np.random.Generator, "numpy", "shared_objects"),
        (np.ndarray, "numpy", "distinct_objects"),
        (np.float64, "numpy", "distinct_objects"),
        (sqlite3.Connection, "sqlite3", "distinct_objects"),
        (io.TextIOWrapper, "io", "distinct_objects"),
        (io.BufferedReader, "io", "shared_objects"),
        (type(csv.writer(io.StringIO())), "csv", "distinct_objects"),
        (decimal.Context, "decimal", "distinct_objects"),
        (type(itertools.tee([])[0]), "itertools", "distinct_objects"),
        (functools.cached_property, "functools", "compatible"),
        (asyncio.Queue, "asyncio", "distinct_objects"),
    ],
)
def test_types_are_found_though_they_are_defined_elsewhere(type, name, level):
    library, found = LIBRARIES.for_type(type)
    assert (library.name, found) == (name, level)


def test_types_are_found_by_their_bases():
    class Own(sqlite3.Connection):
        pass

    class Nothing:
        pass

    library, level = LIBRARIES.for_type(Own)
    assert (library.name, level) == ("sqlite3", "distinct_objects")
    assert LIBRARIES.for_type(Nothing) is None
    assert LIBRARIES.for_type(int) is LIBRARIES.for_type(list) is None


def test_types_are_found_without_their_libraries():
    """As they are defined in libraries that need not be here; none is imported to answer."""

    def like(module, name, *bases):
        return types.new_class(name, bases, exec_body=lambda space: space.update(__module__=module))

    session = like("requests.sessions", "Session")
    frame = like("pandas.core.frame", "DataFrame", like("pandas.core.generic", "NDFrame"))
    client = like("botocore.client", "S3", like("botocore.client", "BaseClient"))
    network = like("own", "Network", like("torch.nn.modules.module", "Module"))
    found = list(map(LIBRARIES.for_type, (session, frame, client, network)))
    assert [(library.name, level) for library, level in found] == [
        ("requests", "distinct_objects"),
        ("pandas", "distinct_objects"),
        ("boto3", "shared_objects"),
        ("torch", "distinct_objects"),
    ]
    assert not {"requests", "pandas", "botocore", "torch"} & set(sys.modules)


@pytest.mark.parametrize(
    ("name", "library", "level"),
    [
        ("os.chdir", "os", "incompatible"),
        ("os.getcwd", "os", "shared_objects"),
        ("torch.Tensor.backward", "torch", "compatible"),
        ("torch._tensor.Tensor.backward", "torch", "compatible"),
        ("pymongo.synchronous.client_session.ClientSession", "pymongo", "distinct_objects"),
        ("sqlalchemy.orm.session.Session", "SQLAlchemy", "distinct_objects"),
        ("_io.TextIOWrapper", "io", "distinct_objects"),
        ("requests.Session.get", "requests", "shared_objects"),
    ],
)
def test_functions_and_types_are_found_by_name(name, library, level):
    found, known = LIBRARIES.for_name(name)
    assert (found.name, known) == (library, level)


def test_unknown_names_are_not_found():
    assert LIBRARIES.for_name("nothing.chdir") is LIBRARIES.for_name("") is None


@each_standard
def test_what_the_table_names_of_the_standard_library_exists(library):
    for part in library.objects:
        if part.type == "contextlib.chdir":
            assert sys.version_info >= (3, 11)
        module, _, name = part.type.rpartition(".")
        assert hasattr(importlib.import_module(module), name), part.type


def test_what_is_known_can_be_sent():
    described = json.loads(json.dumps(LIBRARIES.describe()))
    assert len(described) == len(TABLE)
    (sqlite,) = [each for each in described if each["name"] == "sqlite3"]
    assert sqlite["sources"][0].startswith("https://")
    assert sqlite["objects"][0] == {
        "type": "sqlite3.Connection",
        "level": "distinct_objects",
        "affinity": "creating_thread",
        "caveat": sqlite["objects"][0]["caveat"],
    }


@each_library
def test_advice_is_one_line_with_all_that_helps(library):
    advice = library.advice()
    assert advice.splitlines() == [advice]
    assert advice.startswith(f"{library.name} is {LEVELS[library.level]}")
    for text in (library.caveat, library.workaround, library.sources[0]):
        assert text in advice
    for part in library.objects:
        advice = LIBRARIES.advice(part.type)
        assert advice.splitlines() == [advice]
        assert advice.startswith(f"{part.type} is {LEVELS[part.level]}")
        for text in (part.caveat, library.workaround, library.sources[0]):
            assert text in advice


def test_advice_is_given_by_name():
    assert "but not all of it" in LIBRARIES.advice("sqlite3")
    assert "but not all of it" not in LIBRARIES.advice("pandas")
    assert LIBRARIES.advice("_io.TextIOWrapper").startswith("io.TextIOWrapper is safe while each")
    assert LIBRARIES.advice("matplotlib.pyplot.plot").startswith("matplotlib.pyplot is safe only")
    assert LIBRARIES.advice("nothing") is None


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    missing = Libraries(str(tmp_path / "none.toml"))
    with pytest.raises(FileNotFoundError):
        missing.for_module("numpy")
    program = (
        "import sys; from bridge.thread_safety.libraries.table import Libraries; Libraries();"
        "print('tomllib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_table_may_be_read_by_many_threads_at_once():
    fresh, barrier = Libraries(), threading.Barrier(8)

    def look(_):
        barrier.wait()
        return fresh.for_module("numpy.linalg").name

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(8))) == {"numpy"}


def test_the_page_is_made_of_a_table_alone(tmp_path):
    path = tmp_path / "one.toml"
    row = "\n".join(
        f"{name} = {value}"
        for name, value in {
            "name": '"Odd.lib"',
            "modules": '["odd"]',
            "level": '"incompatible"',
            "affinity": '"main_thread"',
            "gil_released": '"no"',
            "free_threaded_since": '"none"',
            "caveat": '"It is odd."',
            "workaround": '"Use another."',
            "sources": '["https://example.org"]',
        }.items()
    )
    path.write_text(f"[[library]]\n{row}\n")
    made = page(Libraries(str(path)))
    assert "| [Odd.lib](#oddlib) | incompatible | no | none |" in made
    assert "on the main thread." in made


# --- The watch for imports ---


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


@pytest.fixture
def watch():
    """An ImportWatch for the modules of ``own``, and what it noted."""
    noted = []

    def note(library, module, thread):
        noted.append((library.name, module, thread))

    def make(**options):
        return ImportWatch(LIBRARIES, note, lambda name: name.partition(".")[0] == "own", **options)

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
        ("exec('import cv2')", ["opencv"]),
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
    packages("own.tools", "def draw():\n    import matplotlib.pyplot\n    return __import__\n")
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
        ImportWatch(LIBRARIES, note, lambda name: name == "own.tools"),
        pytest.raises(ImportError, match="opencv is safe while each thread has its own objects"),
    ):
        importlib.import_module("own.tools")


def test_the_watch_ends_and_can_begin_again(packages, watch):
    packages("own.tools", "def tool():\n    import cv2\n")
    tools = importlib.import_module("own.tools")
    once = watch()
    with once:
        pass
    tools.tool()
    assert watch.noted == []
    with once:
        tools.tool()
    assert names(watch.noted) == ["opencv"]


def test_watches_may_end_in_any_order(packages, watch):
    packages("own.tools", "def tool():\n    import cv2\n")
    tools = importlib.import_module("own.tools")
    before = builtins.__import__, importlib.import_module
    first, second = watch(), watch()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    tools.tool()
    assert names(watch.noted) == ["opencv"]
    second.__exit__(None, None, None)
    tools.tool()
    assert len(watch.noted) == 1
    builtins.__import__, importlib.import_module = before


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


# --- What the table says of the standard library, tried out ---


def test_a_sqlite_connection_refuses_other_threads():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute("select 1")
        for use in (connection.commit, cursor.fetchall):
            with pytest.raises(sqlite3.ProgrammingError, match="thread"):
                elsewhere(use)
        cursor.close()
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        assert elsewhere(lambda: connection.execute("select 1").fetchone()) == (1,)


def test_the_working_directory_is_one_for_all_threads(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    elsewhere(os.chdir, tmp_path)
    assert Path.cwd() == tmp_path
    with contextlib.chdir(ROOT):
        assert elsewhere(os.getcwd) == str(ROOT)


def test_the_environment_is_one_for_all_threads(monkeypatch):
    monkeypatch.delenv("BRIDGE_TEST_LIBRARIES", raising=False)
    elsewhere(os.environ.__setitem__, "BRIDGE_TEST_LIBRARIES", "set")
    assert os.environ.pop("BRIDGE_TEST_LIBRARIES") == "set"


def test_the_mask_of_new_files_is_one_for_all_threads():
    before = os.umask(0o077)
    try:
        assert elsewhere(os.umask, 0o022) == 0o077
    finally:
        assert os.umask(before) == 0o022


def test_the_locale_is_one_for_all_threads():
    before = locale.setlocale(locale.LC_CTYPE)
    other = "C" if before != "C" else "C.UTF-8"
    try:
        elsewhere(locale.setlocale, locale.LC_CTYPE, other)
        assert locale.setlocale(locale.LC_CTYPE) == other
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def test_a_calendar_with_a_locale_sets_that_of_the_process(monkeypatch):
    seen = []
    set_locale = locale.setlocale

    def noted(category, value=None):
        seen.append(value)
        return set_locale(category, value)

    monkeypatch.setattr(locale, "setlocale", noted)
    calendar.LocaleTextCalendar(locale="C").formatweekday(0, 3)
    assert "C" in seen


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="not on this system")
def test_the_time_zone_is_one_for_all_threads(monkeypatch):
    monkeypatch.setenv("TZ", "UTC-5")
    try:
        elsewhere(time.tzset)
        assert time.localtime(0).tm_hour == 5
    finally:
        monkeypatch.undo()
        time.tzset()


def test_signal_handlers_belong_to_the_main_thread():
    for use in (
        lambda: signal.signal(signal.SIGUSR1, signal.SIG_DFL),
        lambda: signal.set_wakeup_fd(-1),
    ):
        with pytest.raises(ValueError, match="main thread"):
            elsewhere(use)


def test_redirected_output_is_that_of_all_threads():
    with contextlib.redirect_stdout(io.StringIO()) as output:
        elsewhere(print, "of another thread")
    assert output.getvalue() == "of another thread\n"


@pytest.mark.skipif(
    getattr(sys.flags, "context_aware_warnings", 0), reason="warnings belong to contexts here"
)
def test_the_filters_of_warnings_are_one_for_all_threads():
    def warn():
        with pytest.raises(UserWarning, match="heard"):
            warnings.warn("heard", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        elsewhere(warn)


def test_the_seed_of_random_is_one_for_all_threads():
    state = random.getstate()
    try:
        random.seed(1)
        expected = random.random()
        elsewhere(random.seed, 1)
        assert random.random() == expected
    finally:
        random.setstate(state)


def test_the_default_timeout_of_sockets_is_one_for_all_threads():
    before = socket.getdefaulttimeout()
    try:
        elsewhere(socket.setdefaulttimeout, 12.5)
        with socket.socket() as made:
            assert made.gettimeout() == 12.5
    finally:
        socket.setdefaulttimeout(before)


def test_each_thread_has_its_own_decimal_context():
    with decimal.localcontext(prec=5):
        assert elsewhere(lambda: decimal.getcontext().prec) == decimal.DefaultContext.prec != 5


def test_an_asyncio_future_belongs_to_the_thread_of_its_loop():
    async def main():
        loop = asyncio.get_running_loop()
        wrong, right = loop.create_future(), loop.create_future()
        wrong.add_done_callback(lambda _: None)
        with pytest.raises(RuntimeError, match="thread"):
            elsewhere(wrong.set_result, "wrong")
        elsewhere(loop.call_soon_threadsafe, right.set_result, "right")
        return await right

    assert asyncio.run(main(), debug=True) == "right"


def test_a_cached_property_may_be_computed_twice():
    if sys.version_info < (3, 12):
        pytest.skip("it still has a lock")
    barrier = threading.Barrier(2, timeout=WAIT_S)

    class Lazy:
        @functools.cached_property
        def value(self):
            barrier.wait()  # passes only with two inside
            return object()

    lazy = Lazy()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: lazy.value, range(2)))


def test_a_shared_numpy_generator_keeps_its_state_whole():
    """Its lock: no number is handed out twice, whichever thread it goes to."""
    shared, alone = np.random.default_rng(1), np.random.default_rng(1)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(
            pool.map(lambda _: [shared.bit_generator.random_raw() for _ in range(500)], range(4))
        )
    expected = [alone.bit_generator.random_raw() for _ in range(2000)]
    assert sorted(itertools.chain(*drawn)) == sorted(expected)

"""The library table: its form, the look-ups, and its page."""

import asyncio
import csv
import datetime
import decimal
import functools
import importlib
import io
import itertools
import json
import re
import sqlite3
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bridge.thread_safety.libraries import Effects, Libraries
from bridge.thread_safety.libraries.page import page
from bridge.thread_safety.libraries.table import AFFINITIES, LEVELS, is_worse, level_in_words

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
    assert re.fullmatch(r"\d+(\.\d+)*([.+a-z]+\d*)?", library.version)
    assert datetime.date(2026, 1, 1) <= datetime.date.fromisoformat(library.date)
    assert library.sources
    assert all(source.startswith("https://") for source in library.sources)
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


def test_the_page_says_of_each_library_which_version_when_and_whether_it_was_tested():
    overview = page(LIBRARIES).partition("## What methods do")[0]
    rows = [line.strip("| ").split(" | ") for line in overview.splitlines() if line[:3] == "| ["]
    tested = {row.library for row in Effects().rows() if row.tested}
    said = {name[1:].partition("]")[0]: rest[-3:] for name, *rest in rows}
    others = [each for each in LIBRARIES if not each.standard]
    assert len(others) >= 80
    assert said == {
        each.name: [
            each.version,
            each.date,
            "tested" if each.name in tested else "by documentation",
        ]
        for each in others
    }


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
    assert "but not all of it" not in LIBRARIES.advice("polars")
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
            "version": '"1.2"',
            "date": '"2026-11-29"',
        }.items()
    )
    path.write_text(f"[[library]]\n{row}\n")
    made = page(Libraries(str(path)))
    assert "| [Odd.lib](#oddlib) | incompatible | no | none |" in made
    assert "on the main thread." in made

"""From a name to an adapter, and what is said when that fails."""

import itertools
import sys
import types

import pytest

from bridge import Adapter, AdapterError, ThreadSafeAdapter, tool
from bridge.adapter import bind_tools
from bridge.loading import LoadedAdapter, check_workers, load

numbers = itertools.count()

ADAPTER = """
from bridge import Adapter, ThreadSafeAdapter, tool

class Tools(Adapter):
    @tool
    def who(self):
        return "method"

class Others(ThreadSafeAdapter):
    @tool
    def other(self):
        return "other"

@tool
def function():
    return "function"
"""


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch):
    """Whatever is imported and put on the path here is gone afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def written(tmp_path):
    """Writes a module with a name of its own; returns the name."""

    def write(source, name=None):
        name = name or f"loaded_{next(numbers)}"
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return name

    return write


@pytest.fixture
def refused(tmp_path):
    """Loads what cannot be loaded; returns the message."""

    def load_and_fail(name, app_dir=tmp_path):
        with pytest.raises(AdapterError) as error:
            load(name, str(app_dir))
        return str(error.value)

    return load_and_fail


@pytest.mark.parametrize(
    ("spelling", "tools"),
    [("{}:Tools", ["who"]), ("{}.Tools", ["who"]), ("{}:Others", ["other"]), ("{}", ["function"])],
)
def test_the_three_spellings(written, tmp_path, spelling, tools):
    name = spelling.format(written(ADAPTER))
    loaded = load(name, str(tmp_path))
    assert loaded.name == name
    assert list(loaded.tools) == tools


def test_modules_in_packages_have_the_same_spellings(written, tmp_path):
    package = f"package_{next(numbers)}"
    written(ADAPTER, f"{package}.inner.tools")
    for spelling in (":Tools", ".Tools", ""):
        assert load(f"{package}.inner.tools{spelling}", str(tmp_path)).tools


def test_the_default_directory_is_the_working_directory(written, tmp_path, monkeypatch):
    name = written(ADAPTER)
    monkeypatch.chdir(tmp_path)
    assert list(load(name).tools) == ["function"]


def test_the_directory_may_be_relative_and_comes_first_on_the_path(written, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    name = written(ADAPTER)
    (elsewhere / f"{name}.py").write_text("raise RuntimeError('the wrong one')")
    sys.path.insert(0, str(elsewhere))
    monkeypatch.chdir(elsewhere)
    assert list(load(name, "..").tools) == ["function"]


def test_the_directory_comes_first_also_if_it_is_on_the_path_already(written, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    name = written(ADAPTER)
    (elsewhere / f"{name}.py").write_text("raise RuntimeError('the wrong one')")
    sys.path[:0] = [str(elsewhere), str(tmp_path)]
    assert list(load(name, str(tmp_path)).tools) == ["function"]


def test_what_a_class_holds_is_shared_and_setup_and_close_are_run(written, tmp_path):
    name = written(
        "from bridge import Adapter, tool\n"
        "class Tools(Adapter):\n"
        "    def setup(self): self.log = ['setup']\n"
        "    def close(self): self.log.append('close')\n"
        "    @tool\n"
        "    def seen(self): return self.log\n"
    )
    loaded = load(f"{name}:Tools", str(tmp_path))
    loaded.setup()
    loaded.close()
    assert loaded.tools["seen"].function() == ["setup", "close"]


def test_a_module_may_have_setup_and_close_or_none(written, tmp_path):
    source = "from bridge import tool\nlog = []\nseen = tool(lambda: log)\n"
    hooks = "def setup(): log.append('setup')\ndef close(): log.append('close')\n"
    for text, expected in ((source + hooks, ["setup", "close"]), (source, [])):
        loaded = load(written(text), str(tmp_path))
        loaded.setup()
        loaded.close()
        assert loaded.tools["seen"].function() == expected


def test_a_missing_module_names_the_directory_and_the_option(refused, tmp_path):
    for name in (
        "no_such_module_here",
        "no_such_module_here:Tools",
        "no_such_package.module:Tools",
    ):
        message = refused(name)
        assert f"adapter {name}: there is no module 'no_such_" in message
        assert str(tmp_path) in message
        assert "--app-dir" in message
        assert "Traceback" not in message


def test_a_missing_attribute_hints_at_the_adapters_of_the_module(written, refused):
    name = written(ADAPTER)
    for spelling in (":Toools", ".Toools"):
        message = refused(name + spelling)
        assert f"module {name!r} has no 'Toools'; it has Tools, Others" in message


def test_a_missing_attribute_of_a_module_without_adapters_has_no_hint(written, refused):
    name = written("from bridge import Adapter\n")
    assert refused(f"{name}:Tools").endswith(f"module {name!r} has no 'Tools'")


def test_what_is_neither_class_nor_module_is_refused(written, refused):
    name = written(ADAPTER)
    assert "'function' is neither a class nor a module" in refused(f"{name}:function")


@pytest.mark.parametrize("name", ["", ":Tools", ".Tools", "..", "a..b", "a b"])
def test_names_that_are_none_are_refused(refused, name):
    assert name in refused(name)


def test_a_module_that_its_import_misses_is_told_apart_from_the_module(written, refused):
    name = written("import no_such_module_here\n")
    for spelling in ("", ":Tools", ".Tools"):
        message = refused(name + spelling)
        assert "No module named 'no_such_module_here'" in message
        assert f"{name}.py" in message, "the traceback shows the import"
        assert "--app-dir" not in message


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("def broken(): raise ValueError('at import')\nbroken()\n", "ValueError: at import"),
        ("def broken(:\n", "SyntaxError"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("from bridge import no_such_name\n", "cannot import name 'no_such_name'"),
        ("raise KeyboardInterrupt('no')\n", "KeyboardInterrupt: no"),
        ("raise BaseException('base')\n", "BaseException: base"),
    ],
)
def test_an_error_at_import_is_shown_with_its_traceback(written, refused, source, shown):
    name = written(source)
    message = refused(name)
    assert message.startswith(f"adapter {name} could not be imported\n")
    assert shown in message
    assert f"{name}.py" in message


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("raise ValueError('no model')", "ValueError: no model"),
        ("raise SystemExit('leave')", "SystemExit: leave"),
        ("raise KeyboardInterrupt('no')", "KeyboardInterrupt: no"),
        ("raise BaseException('base')", "BaseException: base"),
    ],
)
@pytest.mark.parametrize(
    ("method", "said"), [("__init__", "could not be created"), ("setup", "setup() of")]
)
def test_an_error_in_the_constructor_or_setup_is_shown_with_its_traceback(
    written, tmp_path, method, said, body, shown
):
    name = written(f"{ADAPTER}\nclass Broken(Tools):\n    def {method}(self): {body}\n")
    with pytest.raises(AdapterError) as error:
        load(f"{name}:Broken", str(tmp_path)).setup()
    message = str(error.value)
    assert said in message
    assert f"{name}:Broken" in message
    assert shown in message
    assert f"in {method}" in message, "the traceback shows the user's line"


CLOSED = """
class Closed(Exception):
    def __getattribute__(self, name):
        raise SystemExit(name)
"""


def test_an_exception_that_cannot_be_shown_is_named(written, refused):
    name = written(f"{CLOSED}\nraise Closed\n")
    assert refused(name) == f"adapter {name} could not be imported\n{name}.Closed"


def test_a_long_text_of_an_error_is_cut(written, refused):
    name = written("raise ValueError('x' * 10_000_000)\n")
    assert len(refused(name)) < 70_000


PROXY = """
class Proxy:
    @property
    def __class__(self):
        raise RuntimeError("outside of a request")
    def __getattr__(self, name):
        raise RuntimeError("outside of a request")

request = Proxy()
"""


def test_proxies_in_a_module_are_left_alone(written, refused, tmp_path):
    """As those of Flask and Werkzeug, which raise whatever they are asked."""
    name = written(ADAPTER + PROXY)
    assert load(name, str(tmp_path)).tools.keys() == {"function"}
    assert "it has Tools, Others" in refused(f"{name}:Missing")


def test_a_constructor_that_wants_arguments_is_shown(written, refused):
    name = written(f"{ADAPTER}\nclass Wants(Tools):\n    def __init__(self, path): pass\n")
    assert "missing 1 required positional argument: 'path'" in refused(f"{name}:Wants")


def test_an_adapter_without_tools_says_how_to_mark_them(written, refused):
    name = written("class Tools:\n    def f(self): pass\n")
    for spelling in ("", ":Tools"):
        message = refused(name + spelling)
        assert "has no tools" in message
        assert "from bridge import tool" in message


def test_two_tools_of_one_name_and_contexts_in_wrong_places_are_refused(written, refused):
    start = "from bridge import Context, tool\n"
    twice = written(f"{start}f = tool(lambda: 1)\ng = tool(name='f')(lambda: 1)\n")
    assert refused(twice) == f"{twice}: two tools are called 'f'"
    slash = written(f"{start}@tool\ndef f(c: Context, /): pass\n")
    assert refused(slash).startswith(f"{slash}: the parameter 'c' takes the context")


def test_a_directory_that_is_none_is_refused(refused, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing", tmp_path / "file"):
        assert refused("anything", path) == f"--app-dir {path}: there is no such directory"


def test_a_directory_that_is_none_is_named_with_its_whole_path(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = tmp_path / "python"
    assert refused("anything", "python") == f"--app-dir python: there is no such directory: {whole}"


def loaded_from(target):
    return LoadedAdapter("my.tools", target, bind_tools(target))


def test_several_workers_need_an_adapter_that_says_it_is_safe():
    class Unsafe(Adapter):
        @tool
        def f(self):
            pass

    class Says(Unsafe):
        __thread_safe__ = True

    class Safe(Unsafe, ThreadSafeAdapter):
        pass

    module = types.ModuleType("module")
    for target in (Unsafe(), module):
        check_workers(loaded_from(target), 1)
        with pytest.raises(AdapterError):
            check_workers(loaded_from(target), 2)
    module.__thread_safe__ = True
    for target in (Says(), Safe(), module):
        check_workers(loaded_from(target), 2)


@pytest.mark.parametrize(("target", "kind"), [(Adapter(), "class"), (types, "module")])
def test_the_three_ways_out_are_named(target, kind):
    with pytest.raises(AdapterError) as error:
        check_workers(LoadedAdapter("my.tools", target, {}), 8)
    message = str(error.value)
    assert "my.tools does not say that its tools may run at once, but --max-workers is 8" in message
    for way in ("ThreadSafeAdapter", f"__thread_safe__ = True in the {kind}", "@tool(serial=True)", "--max-workers 1."):  # fmt: skip
        assert way in message

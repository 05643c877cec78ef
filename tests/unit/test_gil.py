"""Which module switched the GIL on: by the warning of CPython, which only some builds make."""

import sys
import warnings

import pytest

from bridge import gil
from bridge.gil import GilWatch

#: What CPython says, see ``_PyImport_EnableGILAndWarn`` in its ``Python/import.c``.
WARNING = (
    "The global interpreter lock (GIL) has been enabled to load module '{}', which has not "
    "declared that it can run safely without the GIL. To override this behavior and keep the GIL "
    "disabled (at your own risk), run with PYTHON_GIL=0 or -Xgil=0."
)


class Interpreter:
    """A build whose GIL is off until a module switches it on."""

    def __init__(self):
        self.enabled = False

    def import_module(self, name, warn=True):
        self.enabled = True
        if warn:
            warnings.warn(WARNING.format(name), RuntimeWarning, stacklevel=1)


@pytest.fixture
def interpreter(monkeypatch):
    interpreter = Interpreter()
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: interpreter.enabled, raising=False)
    return interpreter


@pytest.fixture
def shown(monkeypatch):
    """What ``warnings`` would have shown."""
    messages = []
    monkeypatch.setattr(
        warnings, "showwarning", lambda message, category, *rest: messages.append(str(message))
    )
    return messages


@pytest.fixture(autouse=True)
def _filters():
    """Each test has the filters of an ordinary program, not those of pytest."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        yield


def test_the_gil_is_on_where_it_cannot_be_off(monkeypatch):
    monkeypatch.delattr(sys, "_is_gil_enabled", raising=False)
    assert gil.is_enabled() is True


def test_the_gil_is_what_the_interpreter_says(interpreter):
    assert gil.is_enabled() is False
    interpreter.enabled = True
    assert gil.is_enabled() is True


def test_where_the_gil_is_on_anyway_nothing_is_touched(interpreter):
    interpreter.enabled = True
    before = warnings.showwarning, list(warnings.filters)
    with GilWatch() as watch:
        assert (warnings.showwarning, list(warnings.filters)) == before
    assert (warnings.showwarning, list(warnings.filters)) == before
    assert watch.modules == []


def test_a_module_that_switches_the_gil_on_is_noted_and_nobody_is_shown_a_warning(
    interpreter, shown
):
    with GilWatch() as watch:
        interpreter.import_module("grpc._cython.cygrpc")
    assert watch.modules == ["grpc._cython.cygrpc"]
    assert shown == []


def test_the_warning_comes_through_although_the_filters_would_hide_it(interpreter, shown):
    warnings.simplefilter("ignore")
    with GilWatch() as watch:
        interpreter.import_module("quiet")
    assert watch.modules == ["quiet"]


def test_other_warnings_are_shown_as_ever(interpreter, shown):
    warnings.simplefilter("always")
    with GilWatch() as watch:
        warnings.warn("something else", RuntimeWarning, stacklevel=1)
        warnings.warn("enabled to load module 'x' of the theatre", UserWarning, stacklevel=1)
    assert watch.modules == []
    assert shown == ["something else", "enabled to load module 'x' of the theatre"]


def test_without_an_import_that_switches_it_on_nothing_is_noted(interpreter, shown):
    with GilWatch() as watch:
        pass
    assert watch.modules == []


def test_a_gil_that_came_on_without_a_warning_is_noted_as_unknown(interpreter, shown):
    with GilWatch() as watch:
        interpreter.import_module("silent", warn=False)
    assert watch.modules == ["unknown"]


def test_an_import_that_fails_leaves_no_trace_in_warnings(interpreter, shown):
    before = warnings.showwarning
    watch = GilWatch()

    def import_half_a_module():
        with watch:
            assert warnings.showwarning != before
            interpreter.import_module("half")
            raise ImportError("on purpose")

    with pytest.raises(ImportError, match="on purpose"):
        import_half_a_module()
    assert warnings.showwarning == before
    assert watch.modules == ["half"]


def test_after_the_watch_the_warning_is_shown_like_any_other(interpreter, shown):
    with GilWatch() as watch:
        pass
    interpreter.import_module("late")
    assert watch.modules == []
    assert [message.startswith("The global interpreter lock") for message in shown] == [True]

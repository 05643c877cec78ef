"""What the table says of types and calls: pure answers, which nobody is told of."""

from __future__ import annotations

import os
import random
import sqlite3
import types

import pytest

from bridge.thread_safety.libraries import Libraries, Rules


@pytest.fixture
def rules():
    return Rules(Libraries())


def defined(module, name):
    """A function as if a library had it."""

    def function():
        pass

    function.__module__, function.__name__, function.__qualname__ = module, name, name
    return function


def test_a_type_that_must_not_be_shared_has_a_rule(rules):
    rule = rules.for_type(sqlite3.Connection)
    assert "sqlite3" in rule.subject
    assert not rule.changes_process
    assert "See https://" in rule.advice
    assert rules.for_type(sqlite3.Connection) is rule


@pytest.mark.parametrize("kind", [dict, str, types.SimpleNamespace, random.Random])
def test_a_type_that_is_safe_or_watched_otherwise_has_none(rules, kind):
    assert rules.for_type(kind) is None


@pytest.mark.parametrize(
    ("function", "bound", "subject"),
    [(os.chdir, None, "os.chdir"), (random.seed, random._inst, "random.seed")],
)
def test_a_function_that_changes_the_process_has_a_rule(rules, function, bound, subject):
    assert rules.concerns(function, bound)
    rule = rules.for_call(function, bound)
    assert (rule.subject, rule.changes_process) == (subject, True)


def test_a_method_of_the_same_name_of_another_object_has_none(rules):
    own = random.Random()
    assert rules.concerns(own.seed, own)  # the same for all of its type
    assert rules.for_call(own.seed, own) is None


@pytest.mark.parametrize("name", ["setdefault", "update", "pop"])
def test_the_environment_may_be_read_only(rules, name):
    environ = os.environ
    assert rules.for_call(getattr(environ, name), environ).subject == "os.environ"
    assert rules.for_item_change(environ).subject == "os.environ"
    for look in (environ.get, environ.copy, environ.items):
        assert rules.concerns(look, environ)
        assert rules.for_call(look, environ) is None
    assert rules.for_item_change({}) is None


def test_a_module_with_a_state_of_its_own_has_a_rule_for_all_its_functions(rules):
    plot = defined("matplotlib.pyplot", "plot")
    assert rules.concerns(plot, None)
    rule = rules.for_call(plot, None)
    assert (rule.subject, rule.changes_process) == ("matplotlib.pyplot", False)


@pytest.mark.parametrize("function", [len, os.getcwd, defined("nobody.knows", "it")])
def test_other_functions_have_none(rules, function):
    assert not rules.concerns(function, None)
    assert rules.for_call(function, None) is None

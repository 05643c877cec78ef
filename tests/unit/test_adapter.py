"""Adapters: which of their attributes are tools."""

import types

import pytest

from bridge import Adapter, ThreadSafeAdapter, tool
from bridge.adapter import bind_tools


class Base(Adapter):
    @tool
    def kept(self):
        return "base"

    @tool(name="renamed", serial=True)
    def overridden(self):
        """Of the base."""
        return "base"

    @tool
    def removed(self):
        return "base"

    def unmarked(self):
        return "base"


class Child(Base):
    removed = None

    def overridden(self):
        """Of the child."""
        return "child"

    @tool
    def added(self):
        return "child"


def results(tools):
    return {name: tool.function() for name, tool in tools.items()}


def test_the_table_of_tools_is_made_with_the_class():
    assert Base.__tools__ == ("kept", "overridden", "removed")
    assert results(bind_tools(Base())) == {"kept": "base", "renamed": "base", "removed": "base"}


def test_tools_are_inherited_overridden_without_a_new_mark_and_removed_with_none():
    assert results(bind_tools(Child())) == {"kept": "base", "renamed": "child", "added": "child"}
    assert Base.__tools__ == ("kept", "overridden", "removed")


def test_an_override_keeps_the_options_and_has_its_own_description():
    renamed = bind_tools(Child())["renamed"]
    assert renamed.serial
    assert renamed.description == "Of the child."


def test_an_override_that_is_marked_again_has_its_own_options():
    class Again(Base):
        @tool
        def overridden(self):
            return "again"

    tools = bind_tools(Again())
    assert "renamed" not in tools
    assert not tools["overridden"].serial


def test_tools_of_a_mixin_that_is_no_adapter_are_served():
    class Mixin:
        @tool
        def mixed(self):
            return "mixin"

    class Mixed(Mixin, Adapter):
        pass

    assert results(bind_tools(Mixed())) == {"mixed": "mixin"}


def test_two_tools_of_one_name_are_refused():
    class Twice(Adapter):
        @tool
        def one(self):
            pass

        @tool(name="one")
        def two(self):
            pass

    with pytest.raises(ValueError, match="two tools are called 'one'"):
        bind_tools(Twice())


def test_a_module_serves_its_marked_functions():
    module = types.ModuleType("tools")
    module.marked = tool(lambda: "marked")
    module.unmarked = lambda: "unmarked"
    module.number = 3
    assert results(bind_tools(module)) == {"marked": "marked"}


def test_a_module_may_hold_objects_that_answer_strangely_to_attributes():
    """Proxies, like that of a web framework's request, raise outside of their context."""

    class Proxy:
        def __getattr__(self, name):
            raise RuntimeError("working outside of request context")

    class Anything:
        def __getattr__(self, name):
            return self

    module = types.ModuleType("tools")
    module.anything = Anything()
    module.proxy = Proxy()
    module.marked = tool(lambda: "marked")
    assert results(bind_tools(module)) == {"marked": "marked"}


def test_a_plain_class_serves_its_marked_methods():
    class Plain:
        @tool
        def marked(self):
            return "marked"

        def unmarked(self):
            pass

    assert results(bind_tools(Plain())) == {"marked": "marked"}


def test_only_adapters_that_say_so_are_thread_safe():
    assert not Adapter.__thread_safe__
    assert ThreadSafeAdapter.__thread_safe__

"""What ``@tool`` marks, and how a tool reads its function: flags, description, signature."""

from __future__ import annotations

import functools

import pytest

from bridge import Adapter, tool
from bridge.adapter import bind_tools
from bridge.tool import Tool, ToolOptions, tool_options


def made(function, name="f", **options):
    """The tool of a function, whatever kind of callable it is."""
    every = {"name": None, "description": None, "serial": False, "stream": None} | options
    return Tool(name, function, ToolOptions(**every))


def plain():
    return 1


def generator():
    yield 1


async def coroutine():
    return 1


async def async_generator():
    yield 1


def test_a_marked_function_stays_the_same_ordinary_function():
    def add(a, b=2):
        return a + b

    assert tool(add) is add
    assert add(1) == 3


def test_options_may_be_given_and_have_defaults():
    @tool(name="sum", description="Adds.", serial=True, stream=True)
    def add(a, b):
        return a + b

    options = tool_options(add)
    assert (options.name, options.description, options.serial, options.stream) == (
        "sum", "Adds.", True, True,
    )  # fmt: skip
    bare = tool_options(tool()(lambda: 1))
    assert (bare.name, bare.description, bare.serial, bare.stream) == (None, None, False, None)


def test_what_is_not_marked_has_no_options():
    assert tool_options(plain) is None
    assert tool_options(3) is None
    assert tool_options(staticmethod(plain)) is None


@pytest.mark.parametrize("target", ["name", 3, object(), len])
def test_what_cannot_be_called_is_refused(target):
    with pytest.raises(TypeError, match=r"@tool marks functions, got"):
        tool()(target)


def test_names_that_belong_to_the_bridge_are_refused():
    with pytest.raises(ValueError, match=r"'\$/ping' begins with '\$/'"):
        tool(name="$/ping")
    assert tool(name="$ping") is not None


class Kinds(Adapter):
    @tool
    def method(self, a):
        return ("method", self, a)

    @tool
    @staticmethod
    def static_inside(a):
        return ("static", a)

    @staticmethod
    @tool
    def static_outside(a):
        return ("static", a)

    @tool(name="by_class")
    @classmethod
    def class_inside(cls, a):
        return ("class", cls, a)

    @classmethod
    @tool
    def class_outside(cls, a):
        return ("class", cls, a)


def test_methods_static_and_class_methods_are_tools_whose_receiver_is_hidden():
    adapter = Kinds()
    tools = bind_tools(adapter)
    assert {t.signature for t in tools.values()} == {
        "method(a)", "static_inside(a)", "static_outside(a)", "by_class(a)", "class_outside(a)",
    }  # fmt: skip
    assert tools["method"].function(1) == ("method", adapter, 1)
    assert tools["static_inside"].function(1) == tools["static_outside"].function(1) == ("static", 1)  # fmt: skip
    assert tools["by_class"].function(1) == tools["class_outside"].function(1) == ("class", Kinds, 1)  # fmt: skip


def test_a_method_whose_receiver_is_in_its_rest_is_a_tool():
    class Loose(Adapter):
        @tool
        def every(*args):
            return args[1:]

    every = bind_tools(Loose())["every"]
    args, kwargs = every.bind([1, 2])
    assert every.function(*args, **kwargs) == (1, 2)


@pytest.mark.parametrize(
    ("function", "streaming", "is_async"),
    [
        (plain, False, False),
        (generator, True, False),
        (coroutine, False, True),
        (async_generator, True, True),
    ],
)
def test_flags_come_from_the_kind_of_function(function, streaming, is_async):
    subject = made(function)
    assert (subject.streaming, subject.is_async) == (streaming, is_async)


def test_the_option_stream_overrides_the_kind_of_function():
    assert made(plain, stream=True).streaming
    assert not made(generator, stream=False).streaming


def test_flags_are_seen_through_methods_and_decorators():
    class Source:
        def items(self):
            yield 1

        async def later(self):
            return 1

    @functools.wraps(generator)
    def wrapped(*args):
        return generator(*args)

    assert made(Source().items).streaming
    assert made(Source().later).is_async
    assert made(wrapped).streaming


def test_an_async_decorator_makes_a_function_async():
    @functools.wraps(plain)
    async def offloaded():
        return plain()

    assert made(offloaded).is_async


def test_flags_of_a_callable_object_are_those_of_its_call():
    class Source:
        def __call__(self, a):
            yield a

    class Inherits(Source):
        pass

    assert made(Source()).streaming
    assert made(Inherits()).streaming


def test_flags_of_a_partial_are_those_of_its_function():
    assert made(functools.partial(generator)).streaming
    assert made(functools.partial(coroutine)).is_async


def test_the_description_is_the_docstring_without_its_indentation():
    def documented():
        """First line.

            deeper
        last
        """

    assert made(documented).description == "First line.\n\n    deeper\nlast"
    assert made(documented, description="Other.").description == "Other."
    assert made(plain).description == ""


def f_all(a: int, /, b: str, c: float = 1.5, *rest: bytes, d: list[int], e=None, **more: bool):
    """Everything that a signature can have."""


def f_none():
    pass


def f_positional(a, b=2, /):
    pass


def f_named(a, *, b, c="x"):
    pass


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (f_all, "f(a: int, /, b: str, c: float = 1.5, *rest: bytes, d: list[int], e=None, **more: bool)"),
        (f_none, "f()"),
        (f_positional, "f(a, b=2, /)"),
        (f_named, "f(a, *, b, c='x')"),
    ],
)  # fmt: skip
def test_the_signature_reads_as_in_the_source(function, signature):
    assert made(function).signature == signature
    assert signature in repr(made(function))


def test_describe_shows_what_callers_need():
    marker = object()

    def f(a: int, /, b: "str" = "x", *args, c=marker, d=(1,), **kwargs):  # noqa: UP037
        """Text."""

    described = made(f).describe()
    assert (described["name"], described["description"], described["streaming"]) == ("f", "Text.", False)  # fmt: skip
    assert described["idempotent"] is False
    assert made(f, idempotent=True).describe()["idempotent"] is True
    rows = [tuple(p[k] for k in ("name", "kind", "required", "default")) for p in described["parameters"]]  # fmt: skip
    assert rows == [
        ("a", "positional", True, None),
        ("b", "either", False, "x"),
        ("args", "rest", False, None),
        ("c", "named", False, repr(marker)),
        ("d", "named", False, "(1,)"),
        ("kwargs", "named_rest", False, None),
    ]
    assert [p["annotation"] for p in described["parameters"]][:1] == ["int"]


def test_annotations_are_text_whether_they_are_objects_or_not():
    def f(a, b, c):
        pass

    f.__annotations__ = {"a": int, "b": "int | None", "c": int | None}
    assert [p.annotation for p in made(f).parameters] == ["int", "int | None", "int | None"]


def test_a_tool_does_not_change():
    served = made(plain)
    for name in ("function", "name", "_required"):
        with pytest.raises(AttributeError, match=name):
            setattr(served, name, None)
        with pytest.raises(AttributeError, match=name):
            delattr(served, name)
    assert (served.name, served.function) == ("f", plain)


def test_the_same_tool_may_call_another_function():
    served = made(lambda a, b=2: (a, b))
    other = served.calling(plain)
    assert (other.function, other.signature) == (plain, served.signature)
    assert served.function is not plain
    assert other.bind([1]) == served.bind([1])


def test_a_tool_has_a_limit_of_its_own():
    assert tool(max_concurrency=3)(print_nothing) is print_nothing
    assert tool_options(print_nothing).max_concurrency == 3
    assert made(print_nothing, max_concurrency=3).serial is False
    assert made(print_nothing, max_concurrency=1).serial is True
    assert made(print_nothing, serial=True).max_concurrency == 1
    assert made(print_nothing).max_concurrency is None


@pytest.mark.parametrize("limit", [0, -1, 2.0, "2", True])
def test_a_limit_is_a_whole_number_from_1_on(limit):
    with pytest.raises(ValueError, match="max_concurrency must be a whole number, 1 or more"):
        tool(max_concurrency=limit)


def test_a_serial_tool_has_no_other_limit():
    tool(serial=True, max_concurrency=1)
    with pytest.raises(ValueError, match="a serial tool runs one call at a time"):
        tool(serial=True, max_concurrency=2)


def print_nothing():
    """A tool that is marked by a test."""

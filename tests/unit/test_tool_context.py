"""Where a function wants its ``Context``, it gets it; callers do not see that parameter."""

import functools
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridge
from bridge import Context, InvalidParams
from bridge.tool import Tool, ToolOptions

CONTEXT = Context(None)


def made(function):
    return Tool("f", function, ToolOptions(None, None, False, None))


def called(function, params):
    """The result of a call with these params, as the dispatcher makes it."""
    subject = made(function)
    args, kwargs = subject.bind(params)
    if subject.wants_context:
        subject.add_context(args, kwargs, CONTEXT)
    return subject.function(*args, **kwargs)


def first(ctx: Context, a, b=2):
    return ctx, a, b


def middle(a, ctx: Context, b):
    return ctx, a, b


def last(a, b, ctx: Context):
    return ctx, a, b


def after_defaults(a=1, b=2, ctx: Context = None):
    return ctx, a, b


def between_defaults(a=1, ctx: Context = None, b=2):
    return ctx, a, b


def named(a, b=2, *, ctx: Context):
    return ctx, a, b


def before_rest(a, ctx: Context, *b):
    return ctx, a, *b


def after_rest(*ab, ctx: Context):
    return ctx, *ab


def after_slash(a, /, ctx: Context, b):
    return ctx, a, b


POSITIONS = [first, middle, last, after_defaults, between_defaults, named, before_rest, after_rest, after_slash]  # fmt: skip


@pytest.mark.parametrize("function", POSITIONS)
def test_the_context_is_put_in_wherever_it_stands_for_arguments_by_position(function):
    assert called(function, [1, 2]) == (CONTEXT, 1, 2)


@pytest.mark.parametrize("function", [f for f in POSITIONS if "rest" not in f.__name__])
def test_the_context_is_put_in_wherever_it_stands_for_arguments_by_name(function):
    assert called(function, {"a": 1, "b": 2}) == (CONTEXT, 1, 2)


@pytest.mark.parametrize("function", [after_defaults, between_defaults])
def test_the_context_is_put_in_when_defaults_before_it_are_used(function):
    for params in ([], {}, [1], {"b": 2}):
        assert called(function, params) == (CONTEXT, 1, 2)


@pytest.mark.parametrize("function", POSITIONS)
def test_callers_do_not_see_the_context(function):
    subject = made(function)
    assert subject.wants_context
    assert "ctx" not in subject.signature
    assert "Context" not in subject.signature
    assert [p["name"] for p in subject.describe()["parameters"] if p["name"] == "ctx"] == []


@pytest.mark.parametrize("function", [first, middle, last, named, after_slash])
def test_callers_cannot_pass_the_context(function):
    with pytest.raises(InvalidParams, match="unknown argument 'ctx'"):
        made(function).bind({"a": 1, "b": 2, "ctx": 3})


def positional_and_rest(ctx: Context, **rest):
    return ctx, rest


def named_and_rest(*, ctx: Context, **rest):
    return ctx, rest


@pytest.mark.parametrize("function", [positional_and_rest, named_and_rest])
def test_callers_cannot_pass_the_context_among_any_other_names(function):
    with pytest.raises(InvalidParams, match="ctx"):
        made(function).bind({"ctx": 3})


@pytest.mark.parametrize(
    "annotation",
    [
        Context,
        Context | None,
        typing.Optional[Context],  # noqa: UP045
        "Context",
        "bridge.Context",
        "bridge.context.Context",
        "Context | None",
        "None | Context",
        "'Context'",
        "Optional[Context]",
        "typing.Optional[Context]",
    ],
    ids=str,
)
def test_every_spelling_of_the_annotation_is_understood(annotation):
    def f(a, ctx):
        return ctx, a

    f.__annotations__["ctx"] = annotation
    assert made(f).signature == "f(a)"
    assert called(f, [1]) == (CONTEXT, 1)


@pytest.mark.parametrize("annotation", [None, int, "int", "nowhere.Context", "bridge.nothing", str])
def test_other_annotations_are_ordinary_parameters(annotation):
    def f(a, ctx):
        return ctx, a

    if annotation is not None:
        f.__annotations__["ctx"] = annotation
    assert bridge.Context is Context  # the module is among this file's names
    assert not made(f).wants_context
    assert called(f, [1, 2]) == (2, 1)


def test_a_context_before_the_slash_is_refused():
    def f(ctx: Context, /, a):
        pass

    with pytest.raises(TypeError, match="'ctx' takes the context; it cannot stand before '/'"):
        made(f)


def test_methods_decorated_functions_partials_and_objects_get_the_context():
    class Holder:
        def method(self, a, ctx: Context):
            return ctx, a

        def __call__(self, a, ctx: Context):
            return ctx, a

    @functools.wraps(last)
    def wrapped(*args, **kwargs):
        return last(*args, **kwargs)

    assert called(Holder().method, [1]) == (CONTEXT, 1)
    assert called(wrapped, [1, 2]) == (CONTEXT, 1, 2)
    assert called(functools.partial(middle, 1), [2]) == (CONTEXT, 1, 2)
    assert called(Holder(), [1]) == (CONTEXT, 1)


def by_text(a, ctx: "Context"):
    return ctx, a


def test_annotations_as_text_are_understood_below_partials_and_objects():
    class Holder:
        def __call__(self, a, ctx: "Context"):
            return ctx, a

    assert called(by_text, [1]) == (CONTEXT, 1)
    assert called(functools.partial(by_text, 1), []) == (CONTEXT, 1)
    assert called(Holder(), [1]) == (CONTEXT, 1)


@st.composite
def pairs(draw):
    """A function, and the same with a context somewhere among what may take it."""
    either = draw(st.integers(0, 3))
    named = draw(st.integers(0, 2))
    star = draw(st.sampled_from(["*", "*args"]))
    without_default = draw(st.integers(0, either))
    parts = [f"p{i}" + ("" if i < without_default else "=0") for i in range(either)]
    tail = [f"k{i}" + draw(st.sampled_from(["", "=0"])) for i in range(named)]
    at = draw(st.integers(0, either))
    by_name = draw(st.booleans())
    default = "=None" if at > without_default else ""

    def build(before, after):
        separator = [star] if after or star == "*args" else []
        namespace = {"Context": Context}
        text = ", ".join([*before, *separator, *after])
        exec(f"def f({text}): r = locals(); return r.pop('ctx', 0), r", namespace)
        return namespace["f"]

    if by_name:
        return build(parts, tail), build(parts, [*tail, "ctx: Context"])
    return build(parts, tail), build([*parts[:at], f"ctx: Context{default}", *parts[at:]], tail)


@given(pairs(), st.lists(st.integers(), max_size=4) | st.dictionaries(st.sampled_from(["p0", "p1", "p2", "k0", "k1", "z"]), st.integers(), max_size=5))  # fmt: skip
def test_a_context_changes_nothing_for_callers(pair, params):
    """With it and without it the same calls are accepted, and the rest of the arguments is equal."""
    without, with_context = pair
    assert made(without).signature == made(with_context).signature
    try:
        _, expected = called(without, params)
    except InvalidParams as refused:
        message = refused.message
        with pytest.raises(InvalidParams) as too:
            made(with_context).bind(params)
        assert too.value.message == message
    else:
        assert called(with_context, params) == (CONTEXT, expected)

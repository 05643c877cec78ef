"""How arguments bind to parameters, and what is said about those that do not."""

import functools
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import InvalidParams, tool
from bridge.tool import Tool, ToolOptions
from bridge.wire.codec import Encoder, decode_value


def made(function, name="f"):
    return Tool(name, function, ToolOptions(None, None, False, None))


def called(function, params):
    """The result of a call with these params, as the dispatcher makes it."""
    subject = made(function)
    args, kwargs = subject.bind(params)
    return subject.function(*args, **kwargs)


def two(a, b=2):
    return a, b


def positional(a, b=2, /, c=3):
    return a, b, c


def named(a, *, b, c=3):
    return a, b, c


def rest(a, *args, b=2):
    return a, args, b


def named_rest(a, **kwargs):
    return a, kwargs


@pytest.mark.parametrize(
    ("function", "params", "result"),
    [
        (two, [1], (1, 2)),
        (two, [1, 5], (1, 5)),
        (two, {"a": 1}, (1, 2)),
        (two, {"b": 5, "a": 1}, (1, 5)),
        (positional, [1], (1, 2, 3)),
        (positional, {"a": 1}, (1, 2, 3)),
        (positional, {"a": 1, "c": 5}, (1, 2, 5)),
        (positional, {"b": 5, "a": 1}, (1, 5, 3)),
        (named, {"a": 1, "b": 5}, (1, 5, 3)),
        (rest, [1], (1, (), 2)),
        (rest, [1, 2, 3], (1, (2, 3), 2)),
        (rest, {"a": 1, "b": 5}, (1, (), 5)),
        (named_rest, [1], (1, {})),
        (named_rest, {"a": 1, "z": 5}, (1, {"z": 5})),
        (lambda: "none", [], "none"),
        (lambda: "none", {}, "none"),
    ],
)
def test_arguments_reach_their_parameters(function, params, result):
    assert called(function, params) == result


@pytest.mark.parametrize(
    ("function", "params", "named_in_message"),
    [
        (two, [], "missing argument 'a'"),
        (two, {"b": 1}, "missing argument 'a'"),
        (two, [1, 2, 3], "takes 2 by position, got 3"),
        (two, {"a": 1, "z": 2}, "unknown argument 'z'"),
        (two, {"a": 1, 7: 2}, "unknown argument 7"),
        (named, [1], "missing argument 'b'"),
        (named, [1, 2], "takes 1 by position, got 2"),
        (named, {"b": 1}, "missing argument 'a'"),
        (positional, {"b": 1}, "missing argument 'a'"),
        (lambda a=1, b=2, /: 0, {"b": 1}, "argument 'b' needs 'a' before it"),
        (rest, [], "missing argument 'a'"),
        (rest, {"a": 1, "args": [2]}, "unknown argument 'args'"),
        (lambda *args, k: 0, [1, 2], "missing argument 'k'"),
        (named_rest, {"z": 1}, "missing argument 'a'"),
        (named_rest, {"a": 1, 7: 2}, "names of arguments must be text"),
        (lambda: 0, [1], "takes 0 by position, got 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_their_name_and_the_signature(
    function, params, named_in_message
):
    subject = made(function)
    with pytest.raises(InvalidParams) as refused:
        subject.bind(params)
    assert named_in_message in refused.value.message
    assert refused.value.message.endswith(subject.signature)
    assert refused.value.started is False


def test_several_missing_and_unknown_arguments_are_all_named():
    def f(a, b, c=3):
        pass

    with pytest.raises(InvalidParams, match="missing argument 'a', 'b'"):
        made(f).bind([])
    with pytest.raises(InvalidParams, match="unknown argument 'x', 'y'"):
        made(f).bind({"y": 1, "x": 2})


def test_a_decorated_function_binds_by_the_function_inside():
    @functools.wraps(two)
    def logged(*args, **kwargs):
        return two(*args, **kwargs)

    assert made(logged).signature == "f(a, b=2)"
    assert called(logged, {"a": 1}) == (1, 2)


def test_a_decorated_method_hides_its_receiver():
    def logged(method):
        @functools.wraps(method)
        def wrapper(*args, **kwargs):
            return method(*args, **kwargs)

        return wrapper

    class Adder:
        @logged
        def add(self, a, b):
            return a + b

    outside = logged(Adder().add)
    for function in (Adder().add, outside):
        assert made(function).signature == "f(a, b)"
        assert called(function, [1, 2]) == 3


def test_a_partial_hides_what_it_has_and_shows_the_rest():
    assert made(functools.partial(two, 1)).signature == "f(b=2)"
    assert called(functools.partial(two, 1), [5]) == (1, 5)
    assert called(functools.partial(two, b=7), [5]) == (5, 7)


def test_a_callable_object_binds_by_its_call():
    class Adder:
        def __call__(self, a, *, b=2):
            return a, b

    assert made(Adder()).signature == "f(a, *, b=2)"
    assert called(Adder(), {"a": 1, "b": 5}) == (1, 5)


def test_a_class_binds_by_its_constructor():
    class Point:
        def __init__(self, x, y=0):
            self.at = (x, y)

    assert called(Point, {"x": 1}).at == (1, 0)


def test_builtins_bind_by_the_signature_that_they_tell_or_check_themselves():
    assert made(len).signature == "f(obj, /)"
    assert called(len, ["abc"]) == 3
    assert called(max, [1, 3, 2]) == 3
    assert made(max).signature == "f(*args, **kwargs)"


def test_a_cached_function_binds_like_the_function():
    assert made(functools.lru_cache(two)).signature == "f(a, b=2)"
    assert called(functools.lru_cache(two), [1]) == (1, 2)


NAMES = ("a", "b", "c", "d", "e", "f")


@st.composite
def functions(draw):
    """A function with any mix of parameters, which returns what each of them got."""
    counts = [draw(st.integers(0, 2)) for _ in range(3)]
    names = iter(NAMES)
    parts, defaults = [], False
    for kind, count in zip(("positional", "either", "named"), counts, strict=True):
        if kind == "named":
            star = draw(st.booleans())
            if star or count:
                parts.append("*args" if star else "*")
        for _ in range(count):
            has_default = draw(st.booleans())
            if kind != "named":
                defaults = has_default = defaults or has_default
            parts.append(next(names) + ("='default'" if has_default else ""))
        if kind == "positional" and count:
            parts.append("/")
    if draw(st.booleans()):
        parts.append("**kwargs")
    namespace = {}
    exec(f"def f({', '.join(parts)}): return locals()", namespace)
    return namespace["f"]


params = st.lists(st.integers(), max_size=6) | st.dictionaries(
    st.sampled_from([*NAMES, "args", "kwargs", "z"]), st.integers(), max_size=6
)


def as_python(function, given_params):
    """Args and kwargs of the same call in Python; None if there is none.

    The bridge lets callers name what stands before "/", as long as nothing before it is left out.
    """
    if isinstance(given_params, list):
        return given_params, {}
    args, kwargs = [], dict(given_params)
    kinds = inspect.signature(function).parameters.values()
    before_slash = [p.name for p in kinds if p.kind is p.POSITIONAL_ONLY]
    for index, name in enumerate(before_slash):
        if name in kwargs:
            if len(args) < index:
                return None
            args.append(kwargs.pop(name))
    return args, kwargs


@given(functions(), params)
def test_binding_agrees_with_python(function, given_params):
    """Both accept or both refuse, and then the function gets the same."""
    python = as_python(function, given_params)
    try:
        bound = None if python is None else inspect.signature(function).bind(*python[0], **python[1])  # fmt: skip
    except TypeError:
        bound = None
    if bound is None:
        with pytest.raises(InvalidParams):
            made(function).bind(given_params)
    else:
        expected = function(*bound.args, **bound.kwargs)
        assert called(function, given_params) == expected


@given(functions())
def test_as_many_arguments_as_the_arity_need_no_binding(function):
    subject = made(function)
    if subject.arity is not None:
        arguments = list(range(subject.arity))
        args, kwargs = subject.bind(arguments)
        assert subject.function(*arguments) == subject.function(*args, **kwargs)


@pytest.mark.parametrize(("function", "arity"), [(two, 2), (positional, 3), (named_rest, 1)])
def test_the_arity_counts_what_goes_by_position(function, arity):
    assert made(function).arity == arity


@pytest.mark.parametrize("function", [rest, named])
def test_a_function_that_takes_more_or_needs_names_has_no_arity(function):
    assert made(function).arity is None


class Leaving:
    """Ends the process when it is shown."""

    def __repr__(self):
        raise SystemExit(3)


def test_a_default_and_a_docstring_may_be_anything():
    """They are shown when a call is refused, on the thread that reads, and in the list of tools."""

    def odd(a, b=Leaving(), c="caf\udce9", d="x" * 5000):  # noqa: B008
        """See below."""

    odd.__doc__ = "Half a \udce9 character."  # from 3.13 on no source file can have that
    subject = made(odd, "odd")
    with pytest.raises(InvalidParams, match="missing argument 'a'; the tool is odd"):
        subject.bind([])
    shown = decode_value(bytes(Encoder().value(subject.describe())))
    assert "\\udce9" in shown["description"]
    defaults = {each["name"]: each["default"] for each in shown["parameters"]}
    assert defaults["b"] == "a Leaving that cannot be shown"
    assert defaults["c"] == "caf\\udce9"


@pytest.mark.parametrize("name", ["", "caf\udce9", 5, b"x"])
def test_the_name_of_a_tool_is_text(name):
    with pytest.raises(ValueError, match="the name of a tool is text"):
        tool(name=name)

"""conversions/: arguments become what the annotations of a tool name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Optional

import numpy as np
import pytest

from bridge import Adapter, Context, InvalidParams, tool
from bridge.adapter import bind_tools
from bridge.calls.served_tool import serve


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class Coin(Money):
    pass


def from_wire(wire: dict[str, int]) -> Money:
    return Money(wire["cents"])


class Till(Adapter):
    encoders = {Money: lambda money: {"cents": money.cents}}
    decoders = {Money: from_wire}

    @tool
    def cents(
        self, first: Money, others: list[Money] = (), *, more: dict[str, Money] | None = None
    ) -> Any:
        return [
            first.cents,
            [m.cents for m in others],
            more and {k: m.cents for k, m in more.items()},
        ]

    @tool
    def optional(self, money: Optional[Money] = None, other: "Money | None" = None) -> Any:  # noqa: UP037, UP045
        return [money and money.cents, other and other.cents]

    @tool
    def with_context(self, first: Money, ctx: Context, second: Money) -> Any:
        return [first.cents, ctx, second.cents]

    @tool
    def rest(self, *all: Money, **named: Money) -> Any:
        return [[money.cents for money in all], {name: m.cents for name, m in named.items()}]

    @tool
    def annotated(self, money: Annotated[Money, "in euros"], /) -> Any:
        return money.cents

    @tool
    async def later(self, money: Money) -> Any:
        return money.cents

    @tool
    def derived(self, coin: Coin) -> Any:
        return coin

    @tool
    def plain(self, number: int, text: str = "") -> Any:
        return number

    @tool(writable=True)
    def raised(self, values: Any, inner: Any = None) -> Any:
        values += 1
        return values


@pytest.fixture(scope="module")
def call() -> Callable[..., Any]:
    served = serve(bind_tools(Till()), lambda _: None, lambda _: False, loop=False)  # type: ignore[arg-type, return-value]

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        return served[name].function(*args, **kwargs)

    return call


def money(cents: int) -> dict[str, int]:
    return {"cents": cents}


def test_arguments_become_what_the_annotation_says(call: Callable[..., Any]) -> None:
    assert call("cents", money(1)) == [1, [], None]
    assert call("cents", money(1), [money(2), money(3)]) == [1, [2, 3], None]
    assert call("cents", others=[money(2)], first=money(1), more={"a": money(3)}) == [
        1,
        [2],
        {"a": 3},
    ]
    assert call("optional") == [None, None]
    assert call("optional", None, money(2)) == [None, 2]
    assert call("annotated", money(4)) == 4
    assert call("rest", money(1), money(2), a=money(3)) == [[1, 2], {"a": 3}]
    assert asyncio.run(call("later", money(5))) == 5


def test_the_context_stays_what_it_is_wherever_it_stands(call: Callable[..., Any]) -> None:
    context = {"cents": 0}  # what would be converted
    assert call("with_context", money(1), context, money(2)) == [1, context, 2]
    assert call("with_context", money(1), second=money(2), ctx=context) == [1, context, 2]


def test_what_a_decoder_raises_refuses_the_call(call: Callable[..., Any]) -> None:
    for args, words in (
        ((5,), "cents: the argument 'first': 'int' object is not subscriptable"),
        ((money(1), [money(2), {}]), "cents: the argument 'others': at [1]: KeyError: 'cents'"),
        ((money(1), 7), "cents: the argument 'others': expected a list, got 7"),
    ):
        with pytest.raises(InvalidParams) as caught:
            call("cents", *args)
        assert str(caught.value) == words
        assert caught.value.started is False


def test_what_needs_nothing_is_not_touched(call: Callable[..., Any]) -> None:
    tools = bind_tools(Till())
    assert tools["plain"].conversion is None
    assert tools["derived"].conversion is None, (
        "a decoder makes what it is for, and nothing derived"
    )
    assert call("derived", money(1)) == money(1)


def test_arrays_are_writable_where_the_tool_says_so(call: Callable[..., Any]) -> None:
    array = np.frombuffer(b"\1\2", "u1")
    assert call("raised", array).tolist() == [2, 3]
    assert array.tolist() == [1, 2]
    inner = {"a": [array, 1], "b": {"c": array}}
    call("raised", np.zeros(1), inner)
    assert inner["a"][0].flags.writeable
    assert inner["b"]["c"].flags.writeable
    own = np.zeros(1)
    assert call("raised", own) is own, "what can be written to is not copied"


@pytest.mark.parametrize(
    ("encoders", "words"),
    [
        ([Money], "must be a dict"),
        ({"Money": str}, "a dict of classes and functions"),
        ({Money: 1}, "a dict of classes and functions"),
        ({str: repr}, "str travels as it is"),
    ],
)
def test_what_is_no_map_of_functions_keeps_the_adapter_from_loading(
    encoders: Any, words: str
) -> None:
    kind = type("Wrong", (Till,), {"encoders": encoders})
    with pytest.raises(TypeError, match=words):
        bind_tools(kind())


def test_a_class_of_ones_own_may_use_the_names_for_something_else() -> None:
    class Other:
        encoders = ["utf-8"]

        @tool
        def echo(self, value: Any) -> Any:
            return value

    assert bind_tools(Other())["echo"].encoders == {}


# -- of libraries -----------------------------------------------------------------------------


def converted(annotation: Any, value: Any) -> Any:
    def function(argument: Any) -> Any:
        return argument

    function.__annotations__ = {"argument": annotation}
    adapter = type("Tools", (Adapter,), {"echo": staticmethod(tool(function))})()
    served = serve(bind_tools(adapter), lambda _: None, lambda _: False, loop=False)  # type: ignore[arg-type, return-value]
    return served["echo"].function(value)


ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
COLUMNS = {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("module", "name", "to_columns"),
    [
        ("pandas", "DataFrame", lambda frame: frame.to_dict("list")),
        ("polars", "DataFrame", lambda frame: frame.to_dict(as_series=False)),
        ("polars", "LazyFrame", lambda frame: frame.collect().to_dict(as_series=False)),
        ("pyarrow", "Table", lambda table: table.to_pydict()),
        ("pyarrow", "RecordBatch", lambda batch: batch.to_pydict()),
    ],
)
def test_tables_become_the_frame_that_is_wanted(module: str, name: str, to_columns: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    wanted = getattr(pytest.importorskip(module), name)
    for value in (pyarrow.table(COLUMNS), ROWS, COLUMNS):
        made = converted(wanted, value)
        assert type(made) is wanted
        assert to_columns(made) == COLUMNS
    assert converted(wanted | None, None) is None
    assert type(converted(list[wanted], [ROWS])[0]) is wanted
    empty = converted(wanted, pyarrow.table(COLUMNS).slice(0, 0))
    assert to_columns(empty) == {"a": [], "b": []}
    for wrong in (5, [1], {"a": 1}, "text"):
        with pytest.raises(InvalidParams, match=r"the argument 'argument': expected a table"):
            converted(wanted, wrong)


@pytest.mark.parametrize("module", ["pandas", "polars"])
def test_columns_become_series(module: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    wanted = pytest.importorskip(module).Series
    for value in ([1, 2], np.array([1, 2]), pyarrow.table({"a": [1, 2]})):
        made = converted(wanted, value)
        assert (type(made), made.to_list()) == (wanted, [1, 2])
    for wrong in (5, pyarrow.table(COLUMNS)):
        with pytest.raises(InvalidParams, match="expected a"):
            converted(wanted, wrong)


def test_tensors_of_torch_have_memory_of_their_own() -> None:
    torch = pytest.importorskip("torch")
    sent = np.frombuffer(b"\1\2", "u1")
    made = converted(torch.Tensor, sent)
    made.add_(1)
    assert (made.tolist(), sent.tolist()) == ([2, 3], [1, 2])
    assert converted(torch.Tensor, [[1.5]]).tolist() == [[1.5]]
    bits = torch.tensor([1.5], dtype=torch.bfloat16)
    assert converted(torch.Tensor, bits) is bits
    with pytest.raises(InvalidParams, match="expected a tensor"):
        converted(torch.Tensor, "text")


def test_what_a_decoder_makes_is_validated_no_further() -> None:
    pytest.importorskip("msgspec")

    class Strict(Adapter, validate=True):
        decoders = {Money: from_wire}

        @tool
        def pay(self, money: Money, count: int = 1) -> Any:
            return money.cents * count

    tools = bind_tools(Strict())
    served = serve(tools, lambda _: None, lambda _: False, loop=False)  # type: ignore[arg-type, return-value]
    assert served["pay"].function(money(2), 3) == 6
    with pytest.raises(InvalidParams, match="count"):
        served["pay"].function(money(2), "three")

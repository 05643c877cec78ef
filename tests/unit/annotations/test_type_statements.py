"""Annotations with ``type`` statements and type parameters of Python 3.12, as NumPy 2.5 has them."""

import sys
import textwrap

import pytest

from .test_typed import Color, np, npt, refused, validated

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 has them")

SOURCE = """
type Colors = list[Color]
type Pair[T] = tuple[T, T]
type JSON = dict[str, JSON] | list[JSON] | str | None

def colors(value: Colors): return value
def pair(value: Pair[Color] | None): return value
def nested(value: dict[str, Pair[Colors]]): return value
def arrays(value: list[npt.NDArray[np.float32]]): return value
def either(value: npt.NDArray[np.float32] | None): return value
def generic[T](value: list[T], other: T): return value
def json(value: JSON): return value
"""


@pytest.fixture(scope="module")
def functions():
    names = {"Color": Color, "np": np, "npt": npt}
    exec(textwrap.dedent(SOURCE), names)
    return names


def test_they_mean_what_they_stand_for(functions):
    red, blue = Color.RED, Color.BLUE
    assert validated(functions["colors"])(["red"]) == [red]
    assert validated(functions["pair"])(["red", "blue"]) == (red, blue)
    assert validated(functions["nested"])({"a": [["red"], []]}) == {"a": ([red], [])}
    assert validated(functions["arrays"])([[1]])[0].dtype == np.float32
    assert validated(functions["either"])([1]).dtype == np.float32
    assert validated(functions["either"])(None) is None
    assert validated(functions["generic"])([1, "a"], 5) == [1, "a"]
    assert refused(validated(functions["colors"]), ["x"]).details["path"] == "value[0]"


def test_one_that_contains_itself(functions):
    json = validated(functions["json"])
    assert json({"a": ["b", None]}) == {"a": ["b", None]}
    assert refused(json, {"a": [object()]}).details["parameter"] == "value"

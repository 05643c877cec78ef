import pytest
from my_app_tools import Tools


def test_mean():
    assert Tools().mean([1, 2, 6]) == 3


def test_mean_over_the_pipe(bridge_adapter):
    peer = bridge_adapter("my_app_tools:Tools")
    assert peer.call("mean", [[1, 2, 6]]) == 3


def test_mean_of_nothing():
    with pytest.raises(ZeroDivisionError):
        Tools().mean([])

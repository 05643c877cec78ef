"""Hints from the source of an adapter."""

from __future__ import annotations

import pytest

from bridge import Adapter, ThreadSafeAdapter
from bridge.thread_safety.pitfalls import check_common_pitfalls, validate_adapter_thread_safety


class Spoilt(Adapter):
    cache = {}
    names: list = []
    limit = 5

    def __init__(self):
        self.count = 0
        self.items = []

    def add(self, item):
        self.count += 1
        self.items.append(item)
        self.cache[item] = True


class Clean(ThreadSafeAdapter):
    def __init__(self):
        self.count = 0
        self.items = []

    def add(self, item):
        mine = []
        mine.append(item)
        with self.acquire_lock():
            self.count += 1
            self.items.extend(mine)


@pytest.mark.parametrize(
    "words",
    ["does not declare itself", "cache belongs to the class", "names belongs to the class",
     "self.count += 1 reads, then writes", "self.items.append() changes", "self.cache[item] = "],
)  # fmt: skip
def test_the_usual_mistakes_are_named_with_their_lines(words):
    (hint,) = [hint for hint in check_common_pitfalls(Spoilt) if words in hint]
    assert "line" in hint or "declare" in words


def test_nothing_else_is():
    assert len(check_common_pitfalls(Spoilt())) == 6
    assert check_common_pitfalls(Clean) == []


def test_a_class_without_source_has_only_its_declaration():
    made = type("Made", (), {})
    (hint,) = check_common_pitfalls(made)
    assert "does not declare itself" in hint


def test_the_declaration_is_the_word_of_the_class():
    assert validate_adapter_thread_safety(Clean)
    assert not validate_adapter_thread_safety(Spoilt)

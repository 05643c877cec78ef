"""Whoever looks at all items of a container sees half of a change, unless one lock is held at both."""

from __future__ import annotations

import pytest

from ..race_program import checked

PROGRAM = """
    import copy, dataclasses, json, threading
    lock = threading.Lock()
    d = {{"a": 5, "b": 5}}
    l = [5, 5]
    nested = {{"inner": {{"a": 5, "b": 5}}}}

    @dataclasses.dataclass
    class Account:
        a: int = 5
        b: int = 5

    o = Account()

    def move():
        with lock:
            d["a"] -= 1; d["b"] += 1
            l[0] -= 1; l[1] += 1
            inner = nested["inner"]
            inner["a"] -= 1; inner["b"] += 1
            o.a -= 1; o.b += 1

    def show(*args, **kwargs):
        return args

    def unlocked():
        {read}

    def locked():
        with lock:
            {read}
"""
READS = {
    "sum of values": "sum(d.values())",
    "loop over values": "for v in d.values(): v + 1",
    "loop over items": "for k, v in d.items(): v + 1",
    "comprehension": "[v for v in l]",
    "list of values": "list(d.values())",
    "copied": "dict(d)",
    "copy()": "d.copy()",
    "copy.copy": "copy.copy(d)",
    "list()": "list(l)",
    "tuple": "tuple(l)",
    "sorted": "sorted(l)",
    "max": "max(l)",
    "slice": "l[:]",
    "json": "json.dumps(d)",
    "json by name": "json.dumps(obj=d)",
    "json of what holds it": "json.dumps({'x': [d]})",
    "json of what leads to it": "json.dumps(nested)",
    "merged": "{**d, 'c': 1}",
    "as keywords": "show(**d)",
    "as arguments": "show(*l)",
    "in a display": "[*l, 1]",
    "unpacked": "x, y = l",
    "starred": "x, *y = l",
    "added": "l + [1]",
    "compared": "l == [5, 5]",
    "as text": "str(d)",
    "in a text": "f'{d}'",
    "formatted": "'%s' % (d,)",
    "looked for": "5 in l",
    "looked for among values": "5 in d.values()",
    "counted": "l.count(5)",
    "zipped": "[x for x in zip(l, l)]",
    "returned": "return d",
    "returned inside": "return {'accounts': [d]}",
    "returned object": "return o",
    "attributes as a dict": "dict(vars(o))",
    "as a dataclass": "dataclasses.asdict(o)",
    "object copied": "copy.copy(o)",
}


@pytest.mark.parametrize("name", READS)
def test_a_look_at_the_whole_without_the_lock_is_a_race(name, tmp_path):
    with checked(PROGRAM.format(read=READS[name]), tmp_path) as program:
        program.call("unlocked", "move", "unlocked")
        found = [finding.problem for finding in program.checker.findings]
    assert any("changes a part of it" in problem for problem in found), found


@pytest.mark.parametrize("name", [name for name in READS if not name.startswith("returned")])
def test_under_the_lock_it_is_none(name, tmp_path):
    with checked(PROGRAM.format(read=READS[name]), tmp_path) as program:
        program.call("locked", "move", "locked")
    assert program.found == []


@pytest.mark.parametrize(
    "work",
    [
        # each is atomic, and there is no step to come in between
        "d['a'] = 1; dict(d)",
        "l[0] = 1; list(l)",
        # what is added is there, or is not
        "d[len(d)] = 1; list(d)",
        "l.append(1); list(l)",
        # nobody writes what another reads
        "sum(l)",
    ],
)
def test_what_is_seen_at_one_moment_is_none(work, tmp_path):
    source = f"""
        d, l = {{"a": 5, "b": 5}}, [5, 5]
        def work():
            {work}
    """
    with checked(source, tmp_path) as program:
        program.call("work", "work")
    problems = [finding.problem for finding in program.checker.findings]
    assert not any("all of it" in problem for problem in problems)


def test_an_object_that_is_copied_and_changed_is_the_callers_own(tmp_path):
    source = """
        import threading
        lock, d = threading.Lock(), {"a": 1, "b": 2}
        def work():
            with lock:
                own = dict(d)
                d["a"] += 1
            own["a"] = 2
            own["b"] = 3
            return own
    """
    with checked(source, tmp_path) as program:
        program.call("work", "work", "work")
    assert program.found == []

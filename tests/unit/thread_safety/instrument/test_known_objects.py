"""The checker keeps nothing alive, and says what finds no place."""

from __future__ import annotations

import gc
import weakref

from bridge.thread_safety.instrument import known_objects

from ..race_program import checked

PROGRAM = """
    import threading, weakref
    lock = threading.Lock()

    class Frame:
        def __init__(self):
            self.pixels = bytearray(1000)

    class Box(dict):
        pass

    latest = {"frame": None, "box": None, "rows": None}
    made = []

    def publish():
        frame, box, rows = Frame(), Box(), [[1], [2]]
        made.append(weakref.ref(frame))
        made.append(weakref.ref(box))
        with lock:
            latest["frame"], latest["box"], latest["rows"] = frame, box, rows
        return len(rows)

    def look():
        with lock:
            return len(latest["rows"][0]) + len(latest["box"]) + len(latest["frame"].pixels)
"""


def test_what_the_program_has_replaced_is_gone(tmp_path):
    with checked(PROGRAM, tmp_path) as program:
        for _ in range(20):
            program.call("publish", "look")
        alive = [reference() for reference in program.module.made]
        del program.module.made[:]
    assert [each is not None for each in alive] == [False] * 38 + [True] * 2


def test_the_table_does_not_grow_with_the_calls(tmp_path):
    with checked(PROGRAM, tmp_path) as program:
        known = program.checker._probe._shared.known_objects
        for _ in range(3):
            program.call("publish", "look")
        before = len(known.table)
        for _ in range(60):
            program.call("publish", "look")
        assert len(known.table) <= before + 3
        detector = program.checker._probe._detector
        assert len(detector._variables) <= before + 10


def test_a_new_object_at_the_same_place_has_no_history(tmp_path):
    source = """
        box = [None]
        def put(): box[0] = []
        def fill(): box[0].append(1)
        def own():
            # likely to be where an earlier one was
            made = [[] for _ in range(50)]
            for each in made:
                each.insert(0, 1)
    """
    with checked(source, tmp_path) as program:
        for _ in range(5):
            program.call("put")
            program.call("fill")
            program.call("own", "own")
    assert not any("own" in str(finding.first.stack) for finding in program.checker.findings)


def test_an_object_that_is_not_used_for_long_is_let_go_though_a_circle_holds_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(known_objects, "_UNUSED", 20)
    source = """
        import weakref
        class Node:
            def __init__(self):
                self.children = [self]
        latest, made = [None], []
        def publish():
            node = Node()
            made.append(weakref.ref(node))
            latest[0] = node
            return len(node.children)
        def nothing():
            pass
    """
    with checked(source, tmp_path) as program:
        for _ in range(10):
            program.call("publish")
        for _ in range(40):
            program.call("nothing")
        gc.collect()
        alive = [reference() is not None for reference in program.module.made]
    assert alive == [False] * 9 + [True]


def test_a_full_table_is_told_once_and_reported(tmp_path, caplog, monkeypatch):
    with checked(PROGRAM, tmp_path) as program:
        known = program.checker._probe._shared.known_objects
        monkeypatch.setattr(known_objects, "MAX_OBJECTS", len(known.table))
        program.call("publish", "publish")
        report = program.checker.report()
    (line,) = report.forgotten
    assert "objects that are not watched, since" in line
    assert line in report.text
    assert report.describe()["forgotten"] == [line]
    assert len(caplog.records) == 1
    assert "races may be missed" in caplog.text


def test_many_items_of_one_dict_are_not_all_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.thread_safety.detector.detector._MAX_PARTS", 50)
    source = """
        counts = {}
        def count():
            for n in range(200):
                counts[n] = n
    """
    with checked(source, tmp_path) as program:
        program.call("count", "count")
        (line,) = program.checker.report().forgotten
    assert "items of large containers" in line


def test_keys_are_not_kept_alive(tmp_path):
    source = """
        import weakref
        class Key: pass
        d, made = {}, []
        def work():
            key = Key()
            made.append(weakref.ref(key))
            d[key] = 1
            del d[key]
    """
    with checked(source, tmp_path) as program:
        program.call("work", "work")
        assert [reference() for reference in program.module.made] == [None, None]


def test_weak_references_of_the_program_are_its_own(tmp_path):
    source = """
        class Thing: pass
        things = [Thing()]
        def use():
            things[0].x = 1
    """
    with checked(source, tmp_path) as program:
        program.call("use", "use")
        thing = program.module.things[0]
        assert weakref.ref(thing)() is thing
        assert thing.__dict__ == {"x": 1}

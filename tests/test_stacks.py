"""Where findings say that the program was."""

from __future__ import annotations

from pathlib import Path

from .race_program import checked


def test_each_use_of_a_library_is_shown_at_its_own_line(tmp_path: Path) -> None:
    source = """\
        import sqlite3
        base = sqlite3.connect(":memory:", check_same_thread=False)
        def first():
            base.execute("select 1")
            base.execute("select 2")
        def second():
            base.execute("select 3")
        """
    with checked(source, tmp_path) as program:
        program.call("first", "second")
        (finding,) = program.checker.findings
        program.module.base.close()
    assert finding.second is not None
    shown = [[frame[1:] for frame in each.stack] for each in (finding.first, finding.second)]
    # of the first thread, the latest
    assert shown == [[(5, "first")], [(7, "second")]]

"""Findings that their author says to be right: in a comment, or in pyproject.toml."""

from __future__ import annotations

import textwrap

import pytest

from bridge.errors import AdapterError
from bridge.thread_safety.exercise import check_adapter
from bridge.thread_safety.silences import find_settings
from bridge.thread_safety.silences.comments import SilencedLines

PROGRAM = """
    from bridge import ThreadSafeAdapter, tool

    class Counts(ThreadSafeAdapter):
        def __init__(self):
            self.n = 0
            self.by_name = {{}}

        @tool
        def hit(self) -> None:
            {line}

        @tool
        def all_hits(self) -> bool:
            return self.n >= 0
"""
UNGUARDED = "self.n += 1  # bridge: unguarded because a lost hit harms nobody"


@pytest.fixture
def check(tmp_path, request):
    def run(line, settings="", **options):
        name = f"silenced_{abs(hash(request.node.name)) % 10**8}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(PROGRAM.format(line=line)))
        if settings:
            (tmp_path / "pyproject.toml").write_text(textwrap.dedent(settings))
        return check_adapter(f"{name}:Counts", str(tmp_path), **options)

    return run


def test_a_comment_on_the_line_silences_and_is_listed(check):
    report = check(UNGUARDED)
    assert not report.failed
    assert [each.because for each in report.silenced] == ["a lost hit harms nobody"]
    assert "Counts.n" in report.text
    assert "because a lost hit harms nobody" in report.text
    assert report.describe()["silenced"][0]["because"] == "a lost hit harms nobody"


def test_without_the_comment_it_fails(check):
    assert check("self.n += 1").failed


def test_a_comment_that_silences_nothing_is_a_finding(check):
    report = check("pass  # bridge: unguarded because it was once")
    (finding,) = report.findings
    assert report.failed
    assert finding.grade == "silence"
    assert "silences nothing" in finding.text
    assert "thread 0" not in finding.text


def test_a_comment_without_a_reason_silences_nothing(check):
    report = check("self.n += 1  # bridge: unguarded")
    assert {each.grade for each in report.findings} == {"race", "silence"}
    assert "does not say why" in report.text


@pytest.mark.parametrize("pattern", ["Counts.n", "Counts.*", "*"])
def test_a_row_of_the_project_silences(check, pattern):
    row = f'[[tool.bridge.check.unguarded]]\nvariable = "{pattern}"\nbecause = "of that"'
    report = check("self.n += 1", row)
    assert not report.failed
    assert report.silenced[0].because == "of that"


def test_a_row_that_silences_nothing_is_a_finding(check):
    row = '[[tool.bridge.check.unguarded]]\nvariable = "Counts.m"\nbecause = "of that"'
    report = check(UNGUARDED, row)
    (finding,) = report.findings
    assert "pyproject.toml: unguarded Counts.m" in finding.variable


def test_silences_of_what_is_not_called_are_left_for_another_check(tmp_path):
    source = """
        from bridge import ThreadSafeAdapter, tool

        class Hits(ThreadSafeAdapter):
            def __init__(self):
                self.n = 0

            @tool
            def hit(self):
                self.n += 1  # bridge: unguarded because a lost hit harms nobody

            @tool
            def hit_by(self, count):
                self.m += count  # bridge: unguarded because a lost hit harms nobody

        class Visits(Hits):
            @tool
            def visit(self):
                self.n += 1  # bridge: unguarded because a lost visit harms nobody

        class Helper:
            def help(self):
                {in_helper}

        @tool
        def by_itself():
            pass  # bridge: unguarded because it was once
    """
    settings = """
        [[tool.bridge.check.unguarded]]
        variable = "Visits.k"
        because = "of that"
    """

    def check(adapter, in_helper="pass"):
        name = f"scoped_{adapter.lower()}_{len(in_helper)}"
        text = textwrap.dedent(source).replace("{in_helper}", in_helper)
        (tmp_path / f"{name}.py").write_text(text)
        return check_adapter(f"{name}:{adapter}" if adapter else name, str(tmp_path))

    (tmp_path / "pyproject.toml").write_text(textwrap.dedent(settings))
    assert check("Hits").findings == []
    assert ["Visits.k" in each.variable for each in check("Visits").findings] == [True]
    unused = "pass  # bridge: unguarded because it was once"
    assert [each.grade for each in check("Hits", unused).findings] == ["silence"]
    (function,) = check("").findings
    assert "scoped__4.py:27" in function.variable, function.variable


def test_a_project_may_be_strict(check):
    latest = "self.n = 3"
    assert not check(latest).failed
    assert check(latest, "[tool.bridge.check]\nstrict = true").failed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("[tool.bridge]\ncheck = 3", "is to be a table"),
        ("[tool.bridge.check]\nstrickt = true", "has no strickt; it has strict, unguarded"),
        ('[tool.bridge.check]\nstrict = "yes"', "strict is to be true or false, not 'yes'"),
        ('[tool.bridge.check]\nunguarded = "all"', "list of tables"),
        ('[[tool.bridge.check.unguarded]]\nvariable = "A.n"', "needs a variable and a reason"),
        ('[[tool.bridge.check.unguarded]]\nvariable = "A.n"\nbecause = " "', "a reason"),
        ("[tool.bridge.check\n", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path, settings, said):
    (tmp_path / "pyproject.toml").write_text(settings)
    with pytest.raises(AdapterError, match=said) as caught:
        find_settings(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_settings_are_found_further_up_and_of_others_nothing_is_said(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.bridge.check]\nstrict = true")
    inner = tmp_path / "python" / "app"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'")
    assert find_settings(inner).strict
    (inner / "pyproject.toml").write_text("broken [")
    assert find_settings(inner).strict


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("a = f(\n    b,\n    c,  # bridge: unguarded because x\n)\nd = 1\n", {1, 2, 3, 4}),
        ("# bridge: unguarded because x\na = 1\nb = 2\n", {2}),
        ("if a:  # bridge: unguarded because x\n    b = 2\n", {1}),
        ("if a:\n    b = 2  # bridge:unguarded, because x\n    c = 3\n", {2}),
        ("a = '# bridge: unguarded because x'\n", set()),
        ("a = 1  # bridge: unguarded is not what this is about\n", {1}),
    ],
)
def test_a_comment_stands_for_its_statement(source, lines):
    found = SilencedLines(source)
    assert {line for line in range(1, 9) if found.at(line)} == lines

"""``scripts/test-install``: that the oldest versions are those that pyproject names is checked itself."""

from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from scripts.install_matrix.bounds import differences, read_requirements, select
from scripts.install_matrix.builds import PLANTED, plant
from scripts.install_matrix.environment import REFUSED, Case
from scripts.install_matrix.interpreters import look_at

WANTED = [Requirement("Some.Package>=1.2"), Requirement("other>=3")]


@pytest.fixture
def case() -> Case:
    python = look_at(sys.executable)
    assert python is not None
    return Case(replace(python, free_threaded=False), (), oldest=True)


def test_the_bounds_themselves_are_as_they_should_be():
    assert differences(WANTED, {"some-package": "1.2.0", "other": "3", "more": "1"}) == []


@pytest.mark.parametrize(
    ("requirements", "installed", "said"),
    [
        (WANTED, {"some-package": "1.2.1", "other": "3"}, "names some-package>=1.2, but the oldest is 1.2.1"),
        (WANTED, {"some-package": "1.2"}, "other>=3 was not installed"),
        ([Requirement("other")], {"other": "3"}, "other names no lower bound"),
        ([Requirement("other<4")], {"other": "3"}, "other<4 names no lower bound"),
    ],
)  # fmt: skip
def test_anything_else_is_told(requirements, installed, said):
    (fault,) = differences(requirements, installed)
    assert said in fault


def test_markers_and_extras_select_what_an_installer_would():
    declared = [
        Requirement("a>=1"),
        Requirement("b>=1; extra == 'x'"),
        Requirement("c>=1; python_version < '3.12' and extra == 'x'"),
        Requirement("c>=2; python_version >= '3.12' and extra == 'x'"),
    ]
    for version, c in (("3.11", "c>=1"), ("3.12", "c>=2")):
        markers = {"python_version": version}
        found = select(declared, ("x",), markers)
        assert [f"{r.name}{r.specifier}" for r in found] == ["a>=1", "b>=1", c]
        assert [r.name for r in select(declared, (), markers)] == ["a"]


def test_the_requirements_of_a_wheel_are_read_from_its_metadata(tmp_path):
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        text = "Name: a\nRequires-Dist: b>=2\nRequires-Dist: c\n"
        archive.writestr("a-1.dist-info/METADATA", text)
    assert [str(requirement) for requirement in read_requirements(wheel)] == ["b>=2", "c"]


def test_the_planted_release_is_one_that_installers_know_and_python_does_not_load(tmp_path):
    (wheel,) = plant(tmp_path / "links").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        code = archive.read("grpc_health/v1/__init__.py").decode()
    (found,) = metadata.distributions(path=[str(tmp_path / "site")])
    assert (found.name, found.version) == PLANTED
    with pytest.raises(AttributeError, match="planted"):
        exec(code, {})


@pytest.mark.parametrize(
    ("outcome", "cell"),
    [
        ("bridge: gRPC needs packages: python -m pip install 'grpcio>=1'\n", REFUSED),
        ("Traceback\nModuleNotFoundError: install grpcio", "FAILED"),
        ("bridge: no", "FAILED"),
        ("answered", "FAILED"),
    ],
)
def test_grpc_without_its_extra_must_be_refused_in_so_many_words(case, outcome, cell):
    assert case._judge("grpc", outcome) == cell
    assert bool(case.faults) == (cell == "FAILED")


def test_where_grpcio_is_not_made_the_refusal_says_so(case):
    case.python = replace(case.python, free_threaded=True)
    said = "bridge: gRPC is not served here: grpcio has no packages for free-threaded Python\n"
    assert case._judge("grpc", said) == REFUSED
    assert case._judge("grpc", "bridge: python -m pip install 'grpcio>=1'") == "FAILED"


def test_what_is_no_interpreter_is_none(tmp_path):
    program = tmp_path / "python3.12"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    assert look_at(str(program)) is None
    assert look_at(str(tmp_path / "missing")) is None

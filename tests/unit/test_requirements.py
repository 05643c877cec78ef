"""What the bridge needs, read from its own metadata, and the command that installs it here."""

from __future__ import annotations

import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement as Declared

import bridge
from bridge import requirements as module
from bridge.requirements import Requirement, how_to_install, remedy, requirements

ROOT = Path(bridge.__file__).parents[1]
WANTED = [Requirement("a", "1.2"), Requirement("b")]
PYTHON = shlex.quote(sys.executable)  # as in a command that can be typed


@pytest.fixture(autouse=True)
def forgotten():
    requirements.cache_clear()
    yield
    requirements.cache_clear()


@pytest.fixture
def never_installed(monkeypatch):
    """A checkout on the path, of a package that no installer has seen."""

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module.metadata, "requires", missing)
    monkeypatch.setattr(module.metadata, "distribution", missing)


def declared(extra: str) -> list[str]:
    """The same from ``pyproject.toml``, as installers understand it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    found = map(Declared, lines)
    return [f"{r.name}{r.specifier}" for r in found if r.marker is None or r.marker.evaluate()]


@pytest.mark.parametrize("extra", ["", "numpy", "grpc"])
def test_requirements_are_those_that_installers_see(extra):
    # what builds the package sorts them
    assert sorted(str(requirement) for requirement in requirements(extra)) == sorted(
        declared(extra)
    )


@pytest.mark.parametrize("extra", ["", "numpy", "grpc"])
def test_a_checkout_that_was_never_installed_has_them_too(never_installed, extra):
    assert [str(requirement) for requirement in requirements(extra)] == declared(extra)


def test_without_metadata_and_checkout_nothing_is_known(never_installed, monkeypatch):
    monkeypatch.setattr(module, "_checkout", lambda: None)
    assert requirements("grpc") == ()


@pytest.mark.parametrize(
    ("version", "bound", "met"),
    [
        ("1.2", "1.2", True),
        ("1.2", "1.2.0", True),
        ("1.2.0.post1", "1.2", True),
        ("1.10", "1.9", True),
        ("2.0rc1", "1.99.9", True),
        ("1.1.9", "1.2", False),
        ("1.9", "1.10", False),
        ("0.9", "1", False),
        ("anything", "", True),
    ],
)
def test_a_requirement_is_met_by_its_bound_and_whatever_is_newer(monkeypatch, version, bound, met):
    monkeypatch.setattr(module.metadata, "version", lambda name: version)
    assert Requirement("a", bound).met is met


def test_a_requirement_that_is_not_here_is_not_met():
    assert Requirement("no-such-package-here", "1.0").installed is None
    assert not Requirement("no-such-package-here").met


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14), (3, 15), (3, 16)])
def test_markers_mean_what_installers_take_them_for(monkeypatch, version):
    monkeypatch.setattr(module.sys, "version_info", (*version, 0, "final", 0))
    environment = {"python_version": ".".join(map(str, version))}
    for extra in ("numpy", "grpc"):
        lines = [Declared(line) for line in metadata.requires("beam-bridge") or ()]
        expected = [
            f"{line.name}{line.specifier}"
            for line in lines
            if line.marker is not None and line.marker.evaluate({**environment, "extra": extra})
        ]
        requirements.cache_clear()
        assert [str(requirement) for requirement in requirements(extra)] == expected


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A Python with or without pip, ensurepip, an environment, a system that owns it, and uv."""

    def machine(*present: str) -> None:
        monkeypatch.setattr(module, "find_spec", lambda name: name if name in present else None)
        monkeypatch.setattr(module.shutil, "which", lambda name: name if name in present else None)
        prefix = sys.prefix if "environment" not in present else str(tmp_path)
        monkeypatch.setattr(module.sys, "base_prefix", prefix)
        monkeypatch.setattr(module.sys, "prefix", sys.prefix)
        (tmp_path / "EXTERNALLY-MANAGED").unlink(missing_ok=True)
        if "owner" in present:
            (tmp_path / "EXTERNALLY-MANAGED").touch()
        monkeypatch.setattr(module.sysconfig, "get_path", lambda name: str(tmp_path))

    return machine


@pytest.mark.parametrize(
    ("present", "command"),
    [
        (("environment", "pip", "uv"), f"{PYTHON} -m pip install 'a>=1.2' b"),
        (("environment", "pip", "owner"), f"{PYTHON} -m pip install 'a>=1.2' b"),
        (("pip",), f"{PYTHON} -m pip install 'a>=1.2' b"),
        (("environment", "uv", "ensurepip"), f"uv pip install --python {PYTHON} 'a>=1.2' b"),
        (("environment",), f"uv pip install --python {PYTHON} 'a>=1.2' b"),
        (
            ("environment", "ensurepip"),
            f"{PYTHON} -m ensurepip && {PYTHON} -m pip install 'a>=1.2' b",
        ),
    ],
)
def test_the_command_is_one_that_works_for_this_python(machine, present, command):
    machine(*present)
    assert how_to_install(WANTED) == command


@pytest.mark.parametrize(
    ("present", "begin", "install"),
    [
        (("ensurepip", "pip"), f"{PYTHON} -m venv .venv && ", ".venv/bin/python -m pip install "),
        (("pip",), f"apt-get install python3-venv && {PYTHON} -m venv .venv && ", ".venv/bin/python -m pip install "),
        (("pip", "uv"), f"uv venv --python {PYTHON} .venv && ", "uv pip install --python .venv/bin/python "),
    ],
)  # fmt: skip
def test_where_the_system_owns_python_an_environment_comes_first(machine, present, begin, install):
    machine("owner", *present)
    said = how_to_install(WANTED)
    source = shlex.quote(str(ROOT))
    assert said.startswith(f"{begin}{install}{source} 'a>=1.2' b, then start .venv/bin/python")
    assert "belongs to the system" in said


def test_exactly_names_the_versions_that_are_known_to_work(machine):
    machine("environment", "pip")
    assert how_to_install(WANTED, exactly=True) == f"{PYTHON} -m pip install a==1.2 b"


def test_the_remedy_is_what_lacks_or_else_what_is_known_to_serve(monkeypatch):
    known = {"a": "1.2", "b": None}
    monkeypatch.setattr(Requirement, "installed", property(lambda self: known[self.name]))
    monkeypatch.setattr(module, "requirements", lambda extra: WANTED)
    assert remedy("grpc") == how_to_install(WANTED[1:])
    known["b"] = "3"
    assert remedy("grpc").endswith(f"known to serve: {how_to_install(WANTED, exactly=True)}")


def test_no_message_names_a_package_that_no_index_has(machine):
    machine("environment", "pip")
    for extra in ("", "numpy", "grpc"):
        assert "beam-bridge" not in how_to_install(requirements(extra))

"""What has to be the same in several files: the version, the address, the Pythons."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import bridge

ROOT = Path(bridge.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MIX = (ROOT / "elixir_fixture" / "mix.exs").read_text()


def test_both_languages_have_the_version_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", changelog, re.M)
    (elixir,) = re.findall(r'@version "(.*)"', MIX)
    assert bridge.__version__ == elixir == released[0]


def test_both_packages_name_the_same_address_or_none() -> None:
    """None is made up: there is no public repository yet."""
    addresses = set(re.findall(r"https://[\w.-]+/[\w-]+/[\w-]+", MIX))
    for url in PROJECT.get("urls", {}).values():
        assert any(url.startswith(address) for address in addresses), url
    assert bool(addresses) == bool(PROJECT.get("urls"))


def test_the_oldest_python_is_the_first_that_is_named() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert named == sorted(named, key=lambda version: int(version.partition(".")[2]))

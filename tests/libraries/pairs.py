"""Runs a pair against the installed library: two readers are quiet, a reader and a writer are found."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path

from bridge.thread_safety.detector import DOCUMENTED
from bridge.thread_safety.exercise import check_adapter
from tests.unit.thread_safety.race_program import checked

PAIRS = tomllib.loads(Path(__file__).with_name("pairs.toml").read_text())["pair"]
#: Where a distribution is called otherwise than the row.
_DISTRIBUTIONS = {
    "Pillow": "pillow",
    "matplotlib": "matplotlib",
    "more-itertools": "more-itertools",
}


def is_installed(pair: dict[str, str]) -> bool:
    """Whether the library of a pair can be imported."""
    words = pair["make"].replace(",", " ").split()
    return importlib.util.find_spec(words[1].partition(".")[0]) is not None


def version_of(pair: dict[str, str]) -> str:
    """The version that is installed; of Python itself for what comes with it."""
    try:
        return importlib.metadata.version(pair["library"])
    except importlib.metadata.PackageNotFoundError:
        import platform

        return platform.python_version()


def fault_of(pair: dict[str, str]) -> str | None:
    """What is wrong with a pair; None: the readers are quiet, and the writer is found."""
    body = [
        pair["make"].strip(),
        f"def read():\n    {pair['read']}",
        f"def write():\n    {pair['write']}",
    ]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for names, expected in ((("read", "read"), False), (("read", "write"), True)):
            with checked("\n".join(body) + "\n", Path(folder)) as program:
                program.call(*names)
                found = [each for each in program.checker.findings if each.evidence == DOCUMENTED]
                if bool(program.checker.findings) is not expected or bool(found) is not expected:
                    texts = [each.problem for each in program.checker.findings]
                    return f"{' and '.join(names)}: found {texts or 'nothing'}"
    return None


ADAPTERS = Path(__file__).with_name("adapters")


def adapters() -> list[str]:
    """The names of the adapters that use a library, each with a right and a wrong version."""
    return sorted(path.stem for path in ADAPTERS.glob("uses_*.py"))


def needs(adapter: str) -> list[str]:
    """What an adapter imports."""
    tree = ast.parse((ADAPTERS / f"{adapter}.py").read_text())
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return [name.partition(".")[0] for name in found]


def has_all(adapter: str) -> bool:
    """Whether what an adapter imports is installed."""
    return all(importlib.util.find_spec(name) is not None for name in needs(adapter))


def fault_of_adapter(adapter: str) -> str | None:
    """What is wrong with a check of both versions; None: one is found, the other silent."""
    sys.modules.pop(adapter, None)  # locks of the module were made for an earlier check
    wrong = check_adapter(f"{adapter}:Wrong", str(ADAPTERS))
    sys.modules.pop(adapter, None)
    right = check_adapter(f"{adapter}:Right", str(ADAPTERS))
    expected = vars(sys.modules[adapter])["FOUND"]
    if not any(expected in finding.text for finding in wrong.findings):
        return f"{expected} is not found, but {[each.text for each in wrong.findings]}"
    if right.failed or right.faults:
        return f"found in what is right: {[each.text for each in right.findings]} {right.faults}"
    return None

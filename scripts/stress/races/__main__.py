"""Check every pair of tests/races several times, each time with another seed, and say what is not as it shall be.

    scripts/races                           all pairs, ten times
    scripts/races --rounds 3 lost_update    those whose names contain the words
    scripts/races --folder DIR              pairs of the same form that are somewhere else

Each check runs in a process of its own. Exit 1 if a broken one was missed, or a mended one was found.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.thread_safety import exercise

_CORPUS = Path(__file__).parents[3] / "tests" / "races"
#: Seconds for one check; it ends by itself before.
_LIMIT_S = 60


def facts_of(path: Path) -> dict[str, Any]:
    """The constants of a pair: ``EXPECTED``, and ``GRADE`` and ``REQUIRES`` where it has them; its kinds."""
    facts: dict[str, Any] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            facts[ast.unparse(node.targets[0])] = node.value.value
        elif isinstance(node, ast.ClassDef) and node.name in ("Broken", "Mended"):
            facts.setdefault("kinds", []).append(node.name)
    return facts


def check(path: Path, kind: str, seed: int) -> dict[str, Any]:
    """What a check says, made by a child of this process: its findings by evidence, its notes, its faults."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            report = exercise.check_adapter(
                f"{path.stem}:{kind}", str(path.parent), limit_s=_LIMIT_S, seed=seed
            )
            said = {
                "findings": [[each.evidence, each.text] for each in report.findings],
                "text": report.text,
            }
        except BaseException:
            said = {"findings": [], "text": "", "error": traceback.format_exc()}
        with os.fdopen(writer, "w") as file:
            json.dump(said, file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(text) if text else {"error": f"ended with status {status}"}
    return found


def wrongs(facts: dict[str, Any], kind: str, said: dict[str, Any]) -> Iterator[str]:
    """What of a check is not as it shall be."""
    if "error" in said:
        yield said["error"]
        return
    texts = [text for _, text in said["findings"]]
    if kind == "Mended":
        if texts:
            yield f"found {texts}"
        return
    found = [grade for grade, text in said["findings"] if facts["EXPECTED"] in text]
    if not found:
        yield f"missed {facts['EXPECTED']}, found {texts}"
    elif "GRADE" in facts and facts["GRADE"] not in found:
        yield f"found as {found}, not as {facts['GRADE']}"


def main() -> int:
    """Check what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="words in the names of pairs (default: all)")
    parser.add_argument("--rounds", type=int, default=10, help="(default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round (default: 0)")
    parser.add_argument("--folder", type=Path, default=_CORPUS, help="(default: tests/races)")
    options = parser.parse_args()
    began, made, skipped = time.monotonic(), 0, set()
    wrong: dict[str, int] = {}
    paths = [
        path
        for path in sorted(options.folder.glob("*.py"))
        if not options.names or any(name in path.stem for name in options.names)
    ]
    for seed in range(options.seed, options.seed + options.rounds):
        for path in paths:
            facts = facts_of(path)
            if "REQUIRES" in facts and importlib.util.find_spec(facts["REQUIRES"]) is None:
                skipped.add(path.stem)
                continue
            for kind in facts["kinds"]:
                made += 1
                for text in wrongs(facts, kind, check(path, kind, seed)):
                    name = f"{path.stem}:{kind}"
                    wrong[name] = wrong.get(name, 0) + 1
                    print(f"{name} --seed {seed}: {text}", flush=True)
        seconds, load = time.monotonic() - began, os.getloadavg()[0]
        print(f"seed {seed}: {made} checks so far in {seconds:.0f} s, load {load:.1f}", flush=True)
    print(
        f"{made} checks of {len(paths)} pairs, {len(skipped)} skipped, {sum(wrong.values())} wrong"
    )
    for name, count in sorted(wrong.items()):
        print(f"  {name}: {count} of {options.rounds}")
    return 1 if wrong or not made else 0


sys.exit(main())

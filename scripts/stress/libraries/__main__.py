"""``scripts/libraries [name...]``: runs each pair whose library is installed; exit 1 if one is wrong.

With ``--rounds N`` first, the adapters alone, which ``adapters.py`` checks and serves so often.
"""

from __future__ import annotations

import subprocess
import sys

from tests.libraries.pairs import (
    PAIRS,
    adapters,
    fault_of,
    fault_of_adapter,
    has_all,
    is_installed,
    version_of,
)

from .adapters import outcomes_of

#: How long one pair may take, in seconds.
_LIMIT_S = 120


def main(names: list[str]) -> int:
    if names[:1] == ["--one"]:
        if names[1].startswith("uses_"):
            fault = fault_of_adapter(names[1])
        else:
            (pair,) = [pair for pair in PAIRS if pair["type"] == names[1]]
            fault = fault_of(pair)
        print(f"wrong: {fault}" if fault else "right")
        return 0
    if names[:1] == ["--rounds"]:
        return _again(int(names[1]), names[2:])
    counts = {"right": 0, "wrong": 0, "not installed": 0}
    for pair in PAIRS:
        if names and pair["library"] not in names:
            continue
        version = version_of(pair) if is_installed(pair) else "-"
        # each in a process of its own: one has ended all others
        said = _run(pair["type"]) if version != "-" else "not installed"
        counts[said if said in counts else "wrong"] += 1
        print(f"{pair['library']:18} {version:12} {pair['type']:42} {said}", flush=True)
    for adapter in adapters():
        if not names or adapter.removeprefix("uses_") in names:
            said = _run(adapter) if has_all(adapter) else "not installed"
            counts[said if said in counts else "wrong"] += 1
            print(f"{adapter:75} {said}", flush=True)
    print(", ".join(f"{number} {word}" for word, number in counts.items()))
    return counts["wrong"] > 0


def _again(rounds: int, names: list[str]) -> int:
    wrong = 0
    for adapter in adapters():
        if (names and adapter.removeprefix("uses_") not in names) or not has_all(adapter):
            continue
        for what, faults, each_s in outcomes_of(adapter, rounds):
            wrong += len(faults)
            said = f"{rounds - len(faults)} of {rounds} right, {each_s:.1f} s each"
            print("\n    ".join([f"{what:40} {said}", *faults]), flush=True)
    print(f"{wrong} wrong")
    return wrong > 0


def _run(title: str) -> str:
    command = [sys.executable, "-m", "scripts.stress.libraries", "--one", title]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"wrong: no end within {_LIMIT_S} s"
    last = [*ended.stdout.split("\n"), *ended.stderr.strip().split("\n")[-1:]]
    said = [line for line in last if line.strip()]
    if ended.returncode != 0:
        return f"wrong: exit {ended.returncode}: {said[-1] if said else ''}"
    return said[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

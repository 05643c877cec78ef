"""``scripts/mutations`` takes long; that its guards and their tests are there is known at once."""

from pathlib import Path

import pytest

from scripts.stress.mutations.guards import GUARDS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{Path(guard.file).stem}-{guard.says}")
def test_each_guard_stands_once_and_has_its_test(guard):
    assert (ROOT / guard.file).read_text().count(guard.old) == 1
    assert guard.old != guard.new
    file, _, name = guard.test.partition("::")
    assert f"def {name}" in (ROOT / file).read_text()

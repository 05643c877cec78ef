"""Which findings are silenced, by whom, and which silences silence nothing."""

from __future__ import annotations

import fnmatch
import linecache
import os
from collections.abc import Collection, Iterable, Iterator

from ..detector import CLEAN, SILENCE, Access, Finding
from .comments import SilencedLines
from .scope import Scope
from .settings import CheckSettings, Unguarded

_ADVICE_UNUSED = "take it out, or put it on the line of the access"
_ADVICE_REASON = "say why it is right: # bridge: unguarded because only the last value counts"
_FOREIGN = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_LIBRARY = os.path.dirname(os.__file__) + os.sep


class Silences:
    """The silences of one program. For one report after another; not for several threads at once.

    Args:
        settings: of its project.
    """

    def __init__(self, settings: CheckSettings) -> None:
        self.settings = settings
        self._files: dict[str, SilencedLines] = {}
        self._used: set[tuple[str, int]] = set()

    def part(self, findings: Iterable[Finding]) -> tuple[list[Finding], list[tuple[Finding, str]]]:
        """Those findings that are none, and those that are silenced, with the reasons.

        Harmless ones are silenced as well, if somebody says so: a silence is used then.
        """
        rest, silenced = [], []
        for finding in findings:
            because = self._because(finding)
            if because is None:
                rest.append(finding)
            elif finding.grade != CLEAN:
                silenced.append((finding, because))
        return rest, silenced

    def unused(self, files: Collection[str], scope: Scope) -> Iterator[Finding]:
        """A finding for each silence that silences nothing, or gives no reason.

        Args:
            files: of the program.
            scope: what of it was called: what silences something elsewhere is left alone.
        """
        scope.add(files)
        for row in self.settings.unguarded:
            if not row.used and not scope.is_of_another(row.variable):
                yield _finding(str(self.settings.path), _line_of(row, self.settings), row.variable)
        for file in sorted(set(files)):
            for comment in self._lines(file).comments:
                if not comment.because:
                    problem = "a comment silences, and does not say why"
                    yield _finding(file, comment.line, "", problem, _ADVICE_REASON)
                elif (file, comment.line) not in self._used and not scope.leaves_out(
                    file, comment.line
                ):
                    yield _finding(file, comment.line, "")

    def _because(self, finding: Finding) -> str | None:
        found: str | None = None
        for access in (finding.first, finding.second):
            place = None if access is None else _own_place(access)
            comment = None if place is None else self._lines(place[0]).at(place[1])
            if place is not None and comment is not None and comment.because:
                self._used.add((place[0], comment.line))
                found = found or comment.because
        for row in self.settings.unguarded:
            if fnmatch.fnmatchcase(finding.variable, _as_pattern(row.variable)):
                row.used = True
                found = found or row.because
        return found

    def _lines(self, file: str) -> SilencedLines:
        found = self._files.get(file)
        if found is None:
            source = "".join(linecache.getlines(file))
            found = self._files[file] = SilencedLines(source)
        return found


def _own_place(access: Access) -> tuple[str, int] | None:
    """The innermost place of an access that is none of a library."""
    for file, line, _ in access.stack:
        if file and not file.startswith(_LIBRARY) and not any(part in file for part in _FOREIGN):
            return file, line
    return None


def _as_pattern(variable: str) -> str:
    """Brackets stand for themselves: ``Scores.points['ann']``, ``Scores.points[*]``."""
    return variable.replace("[", "[[]")


def _finding(
    file: str,
    line: int,
    variable: str,
    problem: str = "a silence that silences nothing",
    advice: str = _ADVICE_UNUSED,
) -> Finding:
    name = os.path.basename(file)
    subject = f"{name}: unguarded {variable}" if variable else f"{name}:{line}: # bridge: unguarded"
    access = Access(1, 0, "stand", frozenset(), ((file, line, "the comment"),), None)
    access.words = "stands here"
    return Finding(SILENCE, subject, problem, advice, access)


def _line_of(row: Unguarded, settings: CheckSettings) -> int:
    lines = linecache.getlines(str(settings.path))
    return next((n for n, line in enumerate(lines, 1) if row.variable in line), 1)

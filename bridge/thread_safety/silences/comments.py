"""Comments that silence a finding: ``# bridge: unguarded because …`` on the line of an access."""

from __future__ import annotations

import ast
import io
import re
import tokenize

_COMMENT = re.compile(r"#\s*bridge:\s*unguarded\b[\s,:]*(.*)", re.DOTALL)
_BECAUSE = re.compile(r"because\b[\s:,]*(.*)", re.DOTALL)


class Comment:
    """One comment: its line, and its reason; empty if it gives none."""

    __slots__ = ("because", "line")

    def __init__(self, line: int, because: str) -> None:
        self.line = line
        self.because = because


class SilencedLines:
    """The comments of one file, and the lines that each stands for.

    Args:
        source: the text of the file.
    """

    def __init__(self, source: str) -> None:
        self.comments = list(_comments(source))
        self._by_line: dict[int, Comment] = {}
        if not self.comments:
            return
        spans = _statements(source)
        lines = source.splitlines()
        for comment in self.comments:
            alone = lines[comment.line - 1].lstrip().startswith("#")
            # above a statement it stands for it, behind a part of one for all of it
            line = _next_code(lines, comment.line) if alone else comment.line
            for each in spans.get(line, range(line, line + 1)):
                self._by_line.setdefault(each, comment)

    def at(self, line: int) -> Comment | None:
        """The comment that stands for a line."""
        return self._by_line.get(line)


def _comments(source: str) -> list[Comment]:
    if "unguarded" not in source:
        return []
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            match = token.type == tokenize.COMMENT and _COMMENT.match(token.string)
            if match:
                reason = _BECAUSE.match(match[1])
                found.append(Comment(token.start[0], reason[1].strip() if reason else ""))
    except (tokenize.TokenError, SyntaxError, IndentationError):
        pass  # whatever was loaded, it was not this
    return found


def _statements(source: str) -> dict[int, range]:
    """By line, the lines of the innermost statement; of one with a block, those of its head."""
    spans: dict[int, range] = {}
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return spans
    for node in ast.walk(tree):  # outer ones come first
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = node.end_lineno or node.lineno
            if isinstance(body, list) and body:
                end = max(node.lineno, min(end, body[0].lineno - 1))
            for line in range(node.lineno, end + 1):
                spans[line] = range(node.lineno, end + 1)
    return spans


def _next_code(lines: list[str], line: int) -> int:
    for number in range(line, len(lines)):
        text = lines[number].strip()
        if text and not text.startswith("#"):
            return number + 1
    return line

"""Tools of a process that notes the files of the package which its calls enter, in order."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import bridge
from bridge import ThreadSafeAdapter, tool

_PACKAGE = os.path.join(os.path.dirname(bridge.__file__), "")
#: What stands for the tool where files stand for all else.
TOOL = "the tool"


class Followed(ThreadSafeAdapter):
    """Follows all calls from the start on.

    An entry is ``(thread, from, file, function)``: a function of a file was called from another
    file. A return is none, nor is it one that an object is made, which needs a file but is done by
    whoever makes it.
    """

    def setup(self) -> None:
        self.entries: list[tuple[str, str, str, str]] = []
        # the reader's thread and the workers start after this
        threading.setprofile(self._note)
        sys.setprofile(self._note)  # but for the only worker, which is the one that is here

    def _note(self, frame: Any, event: str, argument: object) -> None:
        if event != "call" or frame.f_code.co_name == "__init__":
            return
        file, caller = _file(frame), _file(frame.f_back)
        if file and file != caller:
            self._add(caller, file, frame.f_code.co_name)

    def _add(self, caller: str, file: str, function: str) -> None:
        # list.append needs no lock
        self.entries.append((threading.current_thread().name, caller, file, function))

    @tool
    def double(self, number):
        self._add("", TOOL, "double")
        return 2 * number

    @tool
    def entered(self) -> list[list[str]]:
        """All entries so far."""
        return [list(entry) for entry in self.entries]


def _file(frame: Any) -> str:
    """The file of a frame below ``bridge/``; empty if it is elsewhere."""
    name = frame.f_code.co_filename if frame is not None else ""
    return name.removeprefix(_PACKAGE) if name.startswith(_PACKAGE) else ""

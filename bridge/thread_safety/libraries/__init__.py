"""What is documented about libraries: whether they may be used from several threads.

``table.py`` has the facts, ``rules.py`` what they say of a type or a call, ``import_watch.py``
tells what a program imports. ``python -m bridge.thread_safety.libraries`` prints the page of the
documentation (``page.py``). Nothing here knows of the race detector.
"""

from .import_watch import ImportWatch
from .rules import Rule, Rules
from .table import Libraries, Library, LibraryObject

__all__ = ["ImportWatch", "Libraries", "Library", "LibraryObject", "Rule", "Rules"]

"""What is documented about libraries: whether they may be used from several threads.

``table.py`` has the facts, ``effects.py`` what methods do to their objects, ``rules.py`` what they say of a type or a call, ``import_watch.py``
tells what a program imports. ``python -m bridge.thread_safety.libraries`` prints the page of the
documentation (``page.py``). Nothing here knows of the race detector.
"""

from .effects import READS, WRITES, Effect, Effects
from .import_watch import ImportWatch
from .rules import Rule, Rules
from .table import Libraries, Library, LibraryObject
from .type_names import module_of_type, mro_of_type, qualname_of_type, vars_of_type

__all__ = [
    "Effect", "Effects", "ImportWatch", "Libraries", "Library", "LibraryObject", "READS", "Rule",
    "Rules", "WRITES", "module_of_type", "mro_of_type", "qualname_of_type",
    "vars_of_type",
]  # fmt: skip

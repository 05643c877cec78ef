"""What happens to a program that is checked: it is rewritten, and tells the detector what it does.

``ImportHook`` (``import_hook.py``) brings the modules of the program (``modules.py``) into the form
that the rewriter gives them (``rewriter.py``, ``symbols.py``). Each operation in it is then one of
the ``Probe`` (``probe.py``): on variables that have a name (``variables.py``), on containers
(``containers.py``), calls (``calls.py``), and what a call decides by (``decisions.py``). Those ask
which objects threads share (``shared_objects.py``), and tell the ``Recorder`` (``recorder.py``),
which knows the thread (``threads.py``, ``stacks.py``) and feeds the detector. ``SyncTracing``
(``sync.py``, ``locks.py``) does the same for locks and hand-overs of the standard library.
"""

from .faults import Faults
from .import_hook import ImportHook
from .losses import Losses
from .modules import ProgramModules, is_bridge
from .probe import Probe
from .recorder import Recorder
from .recursion import RecursionRoom
from .stacks import is_installed, place_of
from .sync import SyncTracing, is_traced

__all__ = [
    "Faults", "ImportHook", "Losses", "Probe", "ProgramModules", "Recorder", "RecursionRoom", "SyncTracing", "is_bridge",
    "is_installed", "is_traced", "place_of",
]  # fmt: skip

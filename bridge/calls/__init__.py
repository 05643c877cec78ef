"""One call, from its request to its answer, for any transport.

A ``Dispatcher`` finds the tool of a request and answers it; its ``Pool`` runs the call on a worker,
or an ``InlineRunner`` on the thread that reads. A transport implements ``Peer`` and ``Sink``, and
``Output`` if it gathers what it writes.
"""

from .dispatcher import Dispatcher
from .failures import unhandled
from .inline import InlineRunner, Watchdog
from .interfaces import EXHAUSTED, CallView, Intake, Output, Peer, Sink
from .interrupter import Interrupter
from .job import Job, SerialQueue, Worker
from .latency import QUICK
from .pool import Pool
from .tool_threads import ToolThreads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .call import Call as Call
    from .errand import run_on_worker as run_on_worker
    from .inline import Batch as Batch
    from .stacks import show_stacks as show_stacks

#: Where the names are that are loaded when somebody asks for them: no start needs them.
_LATER = {"run_on_worker": "errand", "show_stacks": "stacks"}
#: What ``load_rest`` loads, and how long it pauses after each.
_REST, _PAUSE_S = (".activity", ".errand", ".nesting", ".report", ".stacks"), 0.002


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


def load_rest() -> None:
    """Load what no start needs, and calls, questions about the process and its end may.

    One after another, with pauses: an answer passes through several threads, and would wait for the GIL in each.
    """
    from importlib import import_module
    from time import sleep

    from ..wire import REST as VALUES

    for name in (*VALUES, *_REST):
        import_module(name, __name__)
        sleep(_PAUSE_S)


__all__ = [
    "Dispatcher", "Pool", "ToolThreads", "Job", "Worker", "SerialQueue",
    "Peer", "Sink", "Intake", "Output", "CallView", "EXHAUSTED",
    "InlineRunner", "Interrupter", "Watchdog", "QUICK", "unhandled", "run_on_worker",
    "show_stacks", "load_rest",
]  # fmt: skip

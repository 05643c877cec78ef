"""One call, from its request to its answer, for any transport.

A ``Dispatcher`` finds the tool of a request and answers it; its ``Pool`` runs the call on a worker,
or an ``InlineRunner`` on the thread that reads. A transport implements ``Peer`` and ``Sink``, and
``Output`` if it gathers what it writes.
"""

from .dispatcher import Dispatcher
from .errand import run_on_worker
from .failures import unhandled
from .inline import InlineRunner, Watchdog
from .interfaces import EXHAUSTED, CallView, Intake, Output, Peer, Sink
from .interrupter import Interrupter
from .job import Job, SerialQueue, Worker
from .latency import QUICK
from .pool import Pool
from .stacks import show_stacks
from .tool_threads import ToolThreads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .call import Call as Call
    from .inline import Batch as Batch

__all__ = [
    "Dispatcher", "Pool", "ToolThreads", "Job", "Worker", "SerialQueue",
    "Peer", "Sink", "Intake", "Output", "CallView", "EXHAUSTED",
    "InlineRunner", "Interrupter", "Watchdog", "QUICK", "unhandled", "run_on_worker",
    "show_stacks",
]  # fmt: skip

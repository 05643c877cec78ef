"""Where the tools of an adapter run, if not in the process that is called: a cluster of Ray, or
processes of this machine.

``Ray`` and ``Processes`` are what an adapter says (``engine = Ray(replicas=4)``). The rest is for
the process that serves: an ``Engine`` sends calls to replicas of a ``Cluster``, and what these run is
a ``Host``, which the process gives it. Nothing here knows how a tool is run.
"""

from .interfaces import Cluster, Host, Lost, Place, Work
from .settings import EngineSettings, Processes, Ray

__all__ = ["Ray", "Processes", "EngineSettings", "Cluster", "Place", "Host", "Work", "Lost"]

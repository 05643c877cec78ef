"""ErlPort by its own name, from EMQX's fork: the form of it that PyPI has.

The package ``emqx-erlport`` has ErlPort's Python side as ``emqx.erlport``, as of 2015 and without
maps. It imports ``inspect.getargspec``, which Python 3.11 has no more, and pickles tracebacks, which
Python 3.13 cannot; here they are texts, as in ErlPort 0.11.
"""

import inspect
import sys
import traceback

if not hasattr(inspect, "getargspec"):
    inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]

import emqx.erlport
from emqx.erlport import erlang, erlproto, erlterms, stdio
from emqx.erlport.erlterms import Atom, ImproperList, List

__all__ = ["Atom", "ImproperList", "List"]
__path__ = emqx.erlport.__path__  # erlport.cli is found there
erlang.extract_tb = lambda trace: traceback.format_list(traceback.extract_tb(trace))
# one module under two names: what tools import is what serves them
for module in (erlang, erlproto, erlterms, stdio):
    sys.modules[module.__name__.removeprefix("emqx.")] = module

"""Thread safety that can be checked: a race detector, a table of libraries, a report.

``bridge check`` (``check.py``) and ``--thread-safety-check`` use a ``ThreadSafetyChecker``
(``checker.py``). What happens to a program that is checked: its modules are rewritten
(``importing.py``, ``rewrite.py``) so that they tell a probe (``probe.py``) how they use what
threads share (``shared.py``); locks and hand-overs tell it, too (``sync.py``); the probe feeds the
detector (``model.py``), which finds the races.

Both are built in layers, each a class that knows of those below only. The probe: ``telling.py``
(threads, locks, what is told), ``items.py`` (containers), ``names.py`` (attributes and other
variables), ``probe.py`` (calls). The detector: ``order.py`` (what comes after what),
``decisions.py`` (check-then-act), ``model.py`` (accesses, and which of them race). Below them are
the kinds of accesses (``modes.py``) and what is reported (``findings.py``).
"""

"""Thread safety that can be checked: a race detector, a table of libraries, a report.

``bridge check`` (``exercise.py``) and ``--thread-safety-check`` use a ``ThreadSafetyChecker``
(``checker.py``). What happens to a program that is checked stands in ``instrument/``, which races
there are in what it did in ``detector/``, what is documented about libraries in ``libraries/``.
"""

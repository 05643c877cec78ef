"""Does every interleaving end well, if each line of the code where threads meet may be the slow one?

``injection.py`` makes a copy of the package in which a delay may come before each statement of those
files (``pauses.py`` draws it). ``tools.py`` is served by the copy, ``mix.py`` draws calls and knows
what may come of each, ``rounds.py`` starts a process, puts the load on it, ends it in one of several
ways and looks whether anything is lost, doubled, late or stuck. ``scripts/delays`` runs it.
"""

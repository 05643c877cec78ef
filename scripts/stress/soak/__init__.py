"""A soak: mixed load on a real bridge over both transports, with every answer checked.

``tools.py`` is served. ``mix.py`` draws calls at random, ``ledger.py`` holds every answer against
its call; ``stdio_load.py`` and ``grpc_load.py`` are the clients, a process each. ``run.py`` starts
them, watches the bridge, and ``report.py`` says what was seen. ``scripts/soak`` runs it.
"""

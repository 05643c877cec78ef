"""Any number of peers on a network, or on a Unix socket.

Others import its modules by their names, because what is configured is read where gRPC is missing:
``settings``; ``server`` and ``bridge_service`` to serve; and what a service of one's own is made
of, as Snakepit's is: ``service``, ``caller``, ``exchange``, ``sender``, ``behavior``, ``status``.
"""

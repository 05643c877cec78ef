"""The life of the process, from its start to its exit code.

Others import its modules by their names, because the commands for people start without a server
and must run where a package is missing: ``server``, ``settings``, ``shutdown`` (the exit codes),
``platforms`` and ``stdin_watch``. The rest is the server's own.
"""

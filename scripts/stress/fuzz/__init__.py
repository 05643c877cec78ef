"""Fuzzing: what no test has thought of. ``scripts/fuzz --help`` tells how to run it.

``targets`` (and ``books``): functions of any bytes that raise if one of the ``rules`` is broken, or
what ``reference`` says; ``guided`` has atheris look for such bytes, ``corpus.txt`` keeps those worth
trying always. ``live`` drives a real process with what ``mutations`` makes of good messages, and
with ``canaries`` between them; ``grpc_calls`` does it over gRPC. ``crashes/`` is for what is found.
"""

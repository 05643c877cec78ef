"""The extension types of the protocol by their numbers; ``protos/stdio.md`` specifies each."""

#: An integer beyond 64 bits.
BIG_INTEGER = 1
#: An array; ``tensors.py``.
TENSOR = 2
#: Data in Arrow's form; ``tables.py``.
TABLE = 3
#: The one key of a map whose value is the form of an object: the name of its class.
NAMED = 4
#: The place of a message in shared memory, and a reference into it; ``shared.py``.
SHARED = 5

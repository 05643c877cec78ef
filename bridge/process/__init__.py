"""The life of the process, from its start to its exit code."""

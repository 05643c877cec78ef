"""Test suites of popular libraries, run as they are and under the race check: the same tests pass."""

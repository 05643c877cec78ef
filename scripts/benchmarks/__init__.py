"""Measures the bridge against what it is made of: ``python -m scripts.benchmarks --help``."""

"""``python -m scripts.benchmarks``, which ``scripts/bench`` runs in an environment that it sets up."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

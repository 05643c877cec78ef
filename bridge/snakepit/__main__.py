"""``python -m bridge.snakepit``, the same as the console script ``bridge-snakepit``."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())

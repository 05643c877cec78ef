"""``python -m bridge``, the same as the console script ``bridge``."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())

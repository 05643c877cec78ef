"""``python -m bridge.thread_safety.libraries`` prints the documentation page of the table."""

from __future__ import annotations

import sys

from .table import Libraries, page

sys.stdout.write(page(Libraries()))

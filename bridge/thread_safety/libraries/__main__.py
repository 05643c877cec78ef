"""``python -m bridge.thread_safety.libraries`` prints the documentation page of the table."""

from __future__ import annotations

import sys

from .page import page
from .table import Libraries

sys.stdout.write(page(Libraries()))

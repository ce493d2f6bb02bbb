"""How much one request may ask for; the ranges of its fields are in `locsvc.formats.ranges`."""

from __future__ import annotations

from typing import Final

MAX_BATCH_CALLS: Final = 1_000
MAX_ROWS: Final = 100
DEFAULT_ROWS: Final = 10
DEFAULT_CONFIDENCE: Final = 0.9

"""Which tables the coverage of a data directory was learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from locsvc.errors import BadData
from locsvc.reference.snapshot import Snapshot, current_id

_COVERAGE = "coverage"


def learned_before(tables: Sequence[Path], data: Path) -> list[str]:
    """Names of those tables that the coverage in force was learned from, by their content.

    Raises
    ------
    BadData
        A table cannot be read.
    DatasetError
        The snapshot in force is damaged.
    """
    if current_id(data) is None:
        return []
    known: set[str] = set()
    for entry in Snapshot.open(data, verify=False).entries(_COVERAGE):
        told = entry.extra.get("tables")
        known |= set(told) if isinstance(told, dict) else set()
    return [table.name for table in tables if known and str(table) != "-" and _digest(table) in known]


def _digest(table: Path) -> str:
    try:
        with table.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise BadData(f"{table} cannot be read: {error.strerror}") from None

"""Tables by their content: one that is given twice would be counted twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from locsvc.errors import BadData

STANDARD = "-"


def refuse_twice(tables: Sequence[Path]) -> None:
    """See that no table is given twice, be it under another name.

    Raises
    ------
    BadData
        Two have the same content, or cannot be read.
    """
    if [str(table) for table in tables].count(STANDARD) > 1:
        raise BadData("stdin (-) is given twice, and can be read once only: give it once")
    of_size: dict[int, list[Path]] = {}
    for table in tables:
        if str(table) != STANDARD:
            of_size.setdefault(_size(table), []).append(table)
    for alike in of_size.values():
        # Only files of one size may be the same: the others are not read for that.
        seen: dict[str, Path] = {}
        for table in alike if len(alike) > 1 else ():
            digest = digest_of(table)
            if digest in seen:
                which = "" if seen[digest] == table else f": it has the content of {seen[digest]}"
                raise BadData(f"{table} is given twice{which}; it would be counted twice, so give it once")
            seen[digest] = table


def digest_of(table: Path) -> str:
    """The sha256 of a file, in hex.

    Raises
    ------
    BadData
        It cannot be read.
    """
    try:
        with table.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise BadData(f"{table} cannot be read: {error.strerror}") from None


def _size(table: Path) -> int:
    """The size of a file, bytes.

    Raises
    ------
    BadData
        It is none.
    """
    if not table.is_file():
        raise BadData(f"{table} is no file")
    return table.stat().st_size

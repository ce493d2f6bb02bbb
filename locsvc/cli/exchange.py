"""Files of ALI records as records for the line dataset: the two rooms do not know each other, the face does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from locsvc.errors import BadData
from locsvc.formats import ali
from locsvc.formats.reading import Unreadable
from locsvc.reference.importing import open_binary
from locsvc.reference.lines import SourceRecord

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 1024
NO_INSERT = "function code is not I or C: apply orders with --orders"


def is_ali(source: Path) -> bool:
    """Whether the file begins as a file of ALI records.

    Raises
    ------
    BadData
        It cannot be read.
    """
    with open_binary(source) as opened:
        return ali.looks_like_file(opened.read(_HEAD_BYTES))


def ali_records(source: Path, *, orders: bool) -> Iterator[SourceRecord]:
    """The records of a file, those that cannot be used with the reason; without `orders`, only what adds lines passes.

    Raises
    ------
    BadData
        The file cannot be read, holds no records, or not as many as its trailer says.
    """
    with open_binary(source) as opened:
        try:
            for piece in ali.records(iter(lambda: opened.read(_BLOCK_BYTES), b"")):
                yield _source_record(piece, orders=orders)
        except Unreadable as error:
            raise BadData(f"{source}: {error}") from error


def _source_record(piece: ali.FileRecord, *, orders: bool) -> SourceRecord:
    if piece.record is None:
        return SourceRecord(piece.number, piece.text, None, piece.problem)
    function = piece.record.function_code
    if not orders and function not in {"I", "C"}:
        return SourceRecord(piece.number, piece.text, None, NO_INSERT)
    line, warnings = ali.line_record(piece.record)
    # Reasons are counted, so they are told without the value.
    notes = tuple(f"{w.field} {w.reason}" for w in warnings)
    if line is None:
        return SourceRecord(piece.number, piece.text, None, notes[0])
    return SourceRecord(piece.number, piece.text, line, function=function, notes=notes)

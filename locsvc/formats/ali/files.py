"""Files of exchange records: one after the other, or one a line, between a header and a trailer that counts them.

References
----------
NENA 02-010 version 2.1: header "UHL" and trailer "UTL" as companies publish them: indicator 1-5, date 6-11, company
name 12-61; then in the header the cycle counter 62-67, in the trailer the number of records 62-70, header and trailer
not counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from locsvc.formats.ali.record import END_OF_RECORD, LENGTH, LENGTH_V1, AliRecord, looks_like_record, split_record
from locsvc.formats.reading import Unreadable

HEADER, TRAILER = "UHL", "UTL"
# Blanks at the end of a line may be gone; a record without its class of service is cut.
_LEAST_LENGTH = 220
_COUNT = slice(61, 70)
_AFTER_DATE = slice(11, 110)
_DIGITS = re.compile(r"[0-9]+")
_END_OF_FILE = b"\x1a"  # as older systems write it; it is no record
# Records that an editor has spoilt are named one by one; without a line's end in so much there are no lines.
_LONGEST_LINE = 1 << 16
# So much of a file tells its form: a record, blanks that an editor left behind it, and the end of its line.
_SNIFFED = LENGTH + 64

# Why a record of a file cannot be used; the words are the same for all with the same fault.
WRONG_LENGTH = f"neither {LENGTH} nor {LENGTH_V1} characters"
NO_END = f"no {END_OF_RECORD!r} at position {LENGTH}"
NO_RECORD = "no function code and ten digits at the beginning"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One record of a file: its place from 1 (headers and trailers have one too), its text, its fields or the fault."""

    number: int
    text: str
    record: AliRecord | None
    problem: str = ""


def records(content: bytes | Iterable[bytes]) -> Iterator[FileRecord]:
    """The records of a file between header and trailer, odd ones too (with their problem).

    Parameters
    ----------
    content
        The file's bytes, or blocks of them of any size.

    Raises
    ------
    Unreadable
        The file holds no records, has another number of them than its trailer says, or a header without trailer.
        It is known at the end: who applies records must do so in a way that can be taken back.
    """
    batch = _Batch()
    for number, raw in enumerate(_pieces((content,) if isinstance(content, bytes) else content), start=1):
        text = raw.decode("latin-1")
        if text.startswith(HEADER):
            batch.open()
        elif text.startswith(TRAILER):
            batch.close(text)
        else:
            batch.count += 1
            yield _file_record(number, text)
    batch.end()


def looks_like_file(head: bytes) -> bool:
    """Whether a file that begins so is one of exchange records.

    >>> looks_like_file(b"I5555550100123"), looks_like_file(b"number,street")
    (True, False)
    """
    return _begins(head.lstrip(b"\r\n"))


class _Batch:
    """Counts records between a header and its trailer."""

    def __init__(self) -> None:
        self.count = 0
        self._total = 0
        self._inside = False
        self._framed = False

    def open(self) -> None:
        """A header."""
        if self._inside:
            raise Unreadable("the file has a second header before the trailer of the first: a part of it is missing")
        if self.count:
            raise Unreadable(f"{self.count} records stand outside of header and trailer")
        self._inside = self._framed = True

    def close(self, text: str) -> None:
        """A trailer: it must count what was read."""
        stated = _stated(text)
        if stated is None:
            raise Unreadable(f"the trailer gives no number of records at 62-70: {text[_COUNT].strip()!r}")
        if stated != self.count:
            raise Unreadable(f"the trailer counts {stated} records, the file has {self.count}: get it sent again")
        self._total += self.count
        self._inside, self._framed, self.count = False, True, 0

    def end(self) -> None:
        """The end of the file."""
        if self._inside:
            raise Unreadable(f"the file ends after {self.count} records without the trailer that belongs to its header")
        if self._framed and self.count:
            raise Unreadable(f"{self.count} records stand outside of header and trailer")
        if not self._framed and not self.count:
            raise Unreadable("the file holds no ALI records")


def _stated(trailer: str) -> int | None:
    """The number of records in a trailer: at its position, else the last number there is."""
    given = trailer[_COUNT].strip()
    if not (given.isascii() and given.isdigit()):
        found = _DIGITS.findall(trailer[_AFTER_DATE])
        if not found or len(found[-1]) > 9:
            return None
        given = found[-1]
    return int(given)


def _file_record(number: int, text: str) -> FileRecord:
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    if len(text) > LENGTH and text[LENGTH:].isspace():
        text = text[:LENGTH]
    length = len(text)
    if not looks_like_record(text):
        return FileRecord(number, text, None, NO_RECORD)
    if length == LENGTH:
        if text[-1] != END_OF_RECORD:
            return FileRecord(number, text, None, NO_END)
    elif not _LEAST_LENGTH <= length <= LENGTH_V1:
        return FileRecord(number, text, None, WRONG_LENGTH)
    return FileRecord(number, text, split_record(text.ljust(LENGTH_V1)))


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The records: lines where there are ends of lines, else pieces of 512 or 240 bytes."""
    source = iter(blocks)
    held = b""
    for block in source:
        held += block
        if len(held) > _SNIFFED:
            break
    held = held.lstrip(b"\r\n")
    head = held[:_SNIFFED]
    # Where a second record begins at 241 there are no lines, whatever stands at the end of the file.
    short = head[LENGTH - 1 : LENGTH] != END_OF_RECORD.encode() and _begins(head[LENGTH_V1:])
    if not short and (b"\n" in head or b"\r" in head):
        yield from _lines(held, source)
    else:
        yield from _equal(held, source, LENGTH_V1 if short else LENGTH)


def _begins(piece: bytes) -> bool:
    text = piece[:_LEAST_LENGTH].decode("latin-1")
    return looks_like_record(text) or text.startswith((HEADER, TRAILER))


def _lines(held: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    while True:
        *whole, held = held.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        yield from filter(None, whole)
        if len(held) > _LONGEST_LINE:
            raise Unreadable(f"a line is longer than {_LONGEST_LINE} bytes: this is no file of ALI records")
        block = next(blocks, None)
        if block is None:
            break
        held += block
    if held := held.rstrip(_END_OF_FILE):
        yield held


def _equal(held: bytes, blocks: Iterator[bytes], length: int) -> Iterator[bytes]:
    while True:
        whole = len(held) - len(held) % length
        for start in range(0, whole, length):
            yield held[start : start + length]
        held = held[whole:]
        block = next(blocks, None)
        if block is None:
            break
        held += block
    if held.strip(_END_OF_FILE + b"\r\n "):
        yield held.rstrip(_END_OF_FILE + b"\r\n")

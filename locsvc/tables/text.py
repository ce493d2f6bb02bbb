"""Tables of text: whole lines in blocks of bounded size, whatever they hold; and what all tables to read have."""

from __future__ import annotations

import gzip
import io
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from locsvc.errors import BadData
from locsvc.tables.form import UNREAD

ROWS = 16_384
# Bytes of text that are read at once; and how far a quoted field is looked for before its quote is taken for a slip.
BLOCK, MOST_HELD = 1 << 20, 1 << 24
BOM = b"\xef\xbb\xbf"


class Source(ABC):
    """A table being read.

    `schema` has our names; `rows` is how many rows there are, None where that is not known before the end.
    """

    schema: pa.Schema
    rows: int | None = None

    def left_out(self) -> Mapping[str, int]:
        """Columns that came too late to be told from the start, and how many rows had them; known at the end."""
        return {}

    @abstractmethod
    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches from the first on."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the file."""

    def share_read(self, rows: int) -> float | None:
        """How much of the table has been read, 0 to 1; None when nobody knows."""
        return rows / self.rows if self.rows else None


def with_unread(schema: pa.Schema) -> pa.Schema:
    """The schema with the column that tells why a row could not be read."""
    return schema.append(pa.field(UNREAD, pa.string()))


def unread_rows(schema: pa.Schema, why: list[str]) -> pa.RecordBatch:
    """Rows of which nothing is known but why they could not be read."""
    nothing = [pa.nulls(len(why), f.type) for f in schema if f.name != UNREAD]
    return pa.RecordBatch.from_arrays([*nothing, pa.array(why, pa.string())], schema=schema)


def first_line(error: BaseException) -> str:
    """What an error of Arrow or of the system says first."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


class Lines(Source):
    """Text of lines: blocks of whole lines, with how far it has been read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = "stdin" if str(path) == "-" else str(path)
        self._size = 0
        try:
            self._raw: IO[bytes] = sys.stdin.buffer if self._name == "stdin" else path.open("rb")
            if self._name != "stdin":
                self._size = path.stat().st_size
            start = self._peek(2)
        except OSError as error:
            raise BadData(f"{self._name} cannot be read: {error.strerror}") from None
        packed = start == b"\x1f\x8b"
        self._bytes = cast("IO[bytes]", gzip.GzipFile(fileobj=self._raw)) if packed else self._raw
        self._buffer = self._read(BLOCK).removeprefix(BOM)
        if not self._buffer.strip():
            self.close()
            raise BadData(f"{self._name} is empty")

    def _peek(self, count: int) -> bytes:
        if not isinstance(self._raw, io.BufferedReader):
            self._raw = io.BufferedReader(self._raw)  # type: ignore[type-var]  # a raw stream
        return self._raw.peek(count)[:count]

    def _read(self, size: int) -> bytes:
        try:
            return self._bytes.read(size)
        except (OSError, EOFError) as error:
            raise BadData(f"{self._name} cannot be read: {first_line(error)}") from None

    def share_read(self, rows: int) -> float | None:
        """By bytes of the file."""
        del rows
        if self._raw.closed:
            return 1.0
        return self._raw.tell() / self._size if self._size else None

    def close(self) -> None:
        """Lets go of the file; stdin is left."""
        if self._name != "stdin":
            self._bytes.close()
            self._raw.close()

    def _blocks(self) -> Iterator[bytes]:
        """Whole records in blocks of some megabytes at most."""
        held, self._buffer = self._buffer, b""
        while True:
            more = self._read(BLOCK)
            if not more:
                break
            cut = self._whole(held) or (held.rfind(b"\n") + 1 if len(held) > MOST_HELD else 0)
            if cut:
                yield held[:cut]
            held = held[cut:] + more
        self.close()
        if held:
            yield held if held.endswith(b"\n") else held + b"\n"

    def _whole(self, block: bytes) -> int:
        """Where the last whole record of a block ends; 0 for nowhere."""
        return block.rfind(b"\n") + 1


def split(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of ROWS rows."""
    for start in range(0, len(batch), ROWS):
        yield batch.slice(start, ROWS)

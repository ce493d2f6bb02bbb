"""What all importers share: reading tables with mapped columns, listing rejects, reporting.

An importer never stops at a bad row: the row is counted by its reason and listed in the reject file with its line
number and text. It stops (`BadData`) when the file as a whole is not what it should be.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Self

from locsvc.errors import BadData, FieldViolation, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

GZIP_MAGIC = b"\x1f\x8b"
# A longer line is no row of any table we know; reading on without end would fill the memory.
MAX_LINE_CHARS = 1 << 20
# A mapping of this form gives every row the same text: {"radio": "=LTE"}.
CONSTANT = "="
NOT_UTF8 = "not UTF-8"
MALFORMED = "malformed CSV"
COLUMN_COUNT = "wrong number of columns"
LINE_TOO_LONG = "line too long"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    rows: int
    """Rows that are in the dataset now."""
    rejected: dict[str, int]
    """Reason -> number of rows that are not."""
    reject_file: Path | None
    """List of the rejected rows, None when there are none or no list was asked for."""
    seconds: float
    """Time it took."""
    notes: dict[str, int] = field(default_factory=dict)
    """What was mended or worked out on the way -> number of rows; these rows are in the dataset."""


class Rejects:
    """Rejected rows: counted by reason, and listed in a CSV file (line, reason, text) when a path is given.

    The file is written only when there is a row to list; an older one at the same path is removed.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self.counts: Counter[str] = Counter()
        if path is not None:
            path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """The list itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @property
    def file(self) -> Path | None:
        """The reject file, None when nothing was listed."""
        return self._path if self._file is not None else None

    def add(self, line: int, reason: str, text: str) -> None:
        """Count one row, and list it.

        Parameters
        ----------
        line
            Line of the file on which the row starts, from 1.
        reason
            A few words, the same for all rows with the same fault.
        text
            The row as it stands in the file.
        """
        self.counts[reason] += 1
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            csv.writer(self._file).writerow(("line", "reason", "text"))
        csv.writer(self._file).writerow((line, reason, text.rstrip("\r\n")))

    def report(self, rows: int, seconds: float, notes: Mapping[str, int] | None = None) -> ImportReport:
        """The report of an import that kept `rows` rows."""
        return ImportReport(rows, dict(sorted(self.counts.items())), self.file, seconds, dict(notes or {}))


@contextmanager
def open_binary(source: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked when it is gzip (by content, not by name).

    Raises
    ------
    BadData
        The file cannot be read or unpacked; also raised for errors met while reading inside the context.
    """
    try:
        with source.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            if packed:
                with gzip.open(raw, "rb") as unpacked:
                    yield unpacked  # type: ignore[misc]  # GzipFile reads like IO[bytes]
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadData(f"{source}: the gzip file is damaged or cut short ({error})") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        if error.filename is not None and str(error.filename) != str(source):
            raise
        raise BadData(f"{source} cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: where it starts in the file, its text there, its values by our columns' names."""

    line: int
    text: str
    values: dict[str, str]
    """Stripped text; a column that the table does not have is absent."""
    problem: str | None
    """Why the row cannot be used at all (values are then empty), or None."""


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Where our columns are in a table: index of a column, or a constant."""

    indexes: dict[str, int]
    constants: dict[str, str]
    width: int
    delimiter: str
    has_header: bool

    def columns(self) -> frozenset[str]:
        """Our columns that rows of the table have."""
        return frozenset(self.indexes) | frozenset(self.constants)


def find_layout(
    source: Path,
    *,
    known: Mapping[str, Sequence[str]],
    mapping: Mapping[str, str] | None = None,
    headerless: Sequence[str] | None = None,
) -> TableLayout:
    """Where our columns are in the CSV file `source` (plain or gzip).

    Parameters
    ----------
    known
        Our column -> names that it goes by in headers we know; letter case, spaces and `_` do not matter.
        Our own name is always one of them.
    mapping
        Our column -> column of the table as its header names it, or "=text" for a constant. Goes before `known`.
    headerless
        Our columns in order, for a table without a header ("" = a column we do not read): taken when no word of the
        first line is a known column's name. None: a header is needed.

    Raises
    ------
    BadData
        The file is empty or unreadable, or no header was found where one is needed.
    InvalidInput
        `mapping` names a column that we do not have or that the header does not have.
    """
    first = _first_line(source)
    delimiter = max(",;\t|", key=lambda d: (first.count(d), d == ","))
    try:
        header = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error as error:
        raise BadData(f"{source}: the first line is no CSV ({error}): {first[:200]!r}") from error
    constants = {ours: theirs[1:] for ours, theirs in (mapping or {}).items() if theirs.startswith(CONSTANT)}
    mapped = {ours: theirs for ours, theirs in (mapping or {}).items() if ours not in constants}
    _check_ours(mapping or {}, known)
    place = {_plain(name): index for index, name in reversed(list(enumerate(header)))}
    found: dict[str, int] = {}
    for ours, aliases in known.items():
        hits = [place[_plain(name)] for name in (ours, *aliases) if _plain(name) in place]
        if hits:
            found[ours] = hits[0]
    missing = {ours: theirs for ours, theirs in mapped.items() if _plain(theirs) not in place}
    if not found and (missing or not mapped):
        if headerless is None or mapped:
            raise BadData(f"{source}: the first line names no column we know: {first[:200]!r}; map the columns")
        indexes = {ours: index for index, ours in enumerate(headerless) if ours}
        return TableLayout(indexes, constants, len(header), delimiter, has_header=False)
    if missing:
        has = ", ".join(header)
        raise InvalidInput(
            [
                FieldViolation(f"mapping.{o}", f"the table has no column {t!r}; it has: {has}")
                for o, t in missing.items()
            ]
        )
    found.update((ours, place[_plain(theirs)]) for ours, theirs in mapped.items())
    for ours in constants:
        found.pop(ours, None)
    return TableLayout(found, constants, len(header), delimiter, has_header=True)


def read_table(source: Path, layout: TableLayout) -> Iterator[TableRow]:
    """The rows of a CSV file, odd ones too (with their problem); blank lines are passed over.

    Raises
    ------
    BadData
        The file cannot be read or unpacked.
    """
    with open_binary(source) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=layout.delimiter)
        while True:
            try:
                cells = next(reader)
                problem = lines.problem
            except StopIteration:
                return
            except csv.Error:
                cells, problem = [], MALFORMED
            start, raw_text = lines.taken()
            if (layout.has_header and start == 1) or not (cells or problem):
                continue
            yield _row(layout, start, raw_text, cells, problem)


def _row(layout: TableLayout, line: int, text: str, cells: list[str], problem: str | None) -> TableRow:
    if problem is None:
        if len(cells) != layout.width and max(layout.indexes.values(), default=0) >= len(cells):
            problem = COLUMN_COUNT
        elif not text.isascii() and any("\udc80" <= c <= "\udcff" for c in text):
            problem = NOT_UTF8
    if problem is not None:
        return TableRow(line, text, {}, problem)
    values = {ours: cells[index].strip() for ours, index in layout.indexes.items()}
    values.update(layout.constants)
    return TableRow(line, text, values, None)


class _Lines:
    """Lines of a text for `csv.reader`, remembered until the row that they belong to is complete."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._number = 0
        self._start = 1
        self._held: list[str] = []
        self.problem: str | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE_CHARS)
        if not line:
            raise StopIteration
        self._number += 1
        if len(line) == MAX_LINE_CHARS and not line.endswith("\n"):
            self.problem = LINE_TOO_LONG
            self._held.append(line[:200])
            rest = line
            while rest and not rest.endswith("\n"):
                rest = self._text.readline(MAX_LINE_CHARS)
            return "?\n"
        self._held.append(line)
        return line

    def taken(self) -> tuple[int, str]:
        """Number of the first line of the row, and its text; the next row starts afresh."""
        start, text = self._start, "".join(self._held)
        self._start, self._held, self.problem = self._number + 1, [], None
        return start, text


def _first_line(source: Path) -> str:
    with open_binary(source) as raw:
        line = raw.readline(MAX_LINE_CHARS).decode("utf-8-sig", errors="replace").rstrip("\r\n")
    if not line.strip():
        raise BadData(f"{source} is empty, or its first line is")
    if "\x00" in line:
        raise BadData(f"{source} is not a text file")
    return line


def _check_ours(mapping: Mapping[str, str], known: Mapping[str, Sequence[str]]) -> None:
    strange = [ours for ours in mapping if ours not in known]
    if strange:
        columns = ", ".join(known)
        raise InvalidInput([FieldViolation(f"mapping.{o}", f"no such column; ours are: {columns}") for o in strange])


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())

"""Tables as they come: Parquet, CSV and JSON Lines as batches of bounded size in the file's order.

What cannot be read stays in its place as a row that says why (column `__unread`). How a file is cut hangs on nothing
but the file, so that a run can be taken up again.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from locsvc.errors import BadData
from locsvc.tables.form import check_mapping, renamed
from locsvc.tables.json_lines import JsonSource
from locsvc.tables.quotes import Quotes
from locsvc.tables.text import ROWS, Lines, Source, first_line, split, unread_rows, with_unread

__all__ = ["FORMATS", "CsvSource", "JsonSource", "ParquetSource", "Source", "format_of", "open_source", "unread_rows"]

FORMATS = ("parquet", "csv", "jsonl")
_NULLS = ["", "NULL", "null", "NaN", "nan", "NA", "None", r"\N"]


def format_of(path: Path) -> str | None:
    """The format that a file's name tells; None when it tells none.

    >>> format_of(Path("a.csv.gz")), format_of(Path("b.ndjson")), format_of(Path("c.txt"))
    ('csv', 'jsonl', None)
    """
    suffixes = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    last = suffixes[-1] if suffixes else ""
    return {
        ".parquet": "parquet", ".pq": "parquet", ".geoparquet": "parquet", ".csv": "csv",
        ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    }.get(last)  # fmt: skip


class ParquetSource(Source):
    """A Parquet file; a row group that cannot be read costs its own rows."""

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise BadData(f"{path} cannot be read as Parquet: {first_line(error)}") from None
        theirs = self._file.schema_arrow
        check_mapping(mapping, theirs.names)
        self._names = renamed(theirs.names, mapping)
        fields = [f.with_name(n) for f, n in zip(theirs, self._names, strict=True)]
        self.schema = with_unread(pa.schema(fields))
        self.rows = self._file.metadata.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Row group by row group."""
        for group in range(self._file.num_row_groups):
            yield from self._group(group)

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def _group(self, group: int) -> Iterator[pa.RecordBatch]:
        expected, read = self._file.metadata.row_group(group).num_rows, 0
        try:
            for batch in self._file.iter_batches(ROWS, row_groups=[group], use_threads=False):
                read += len(batch)
                columns = [*batch.columns, pa.nulls(len(batch), pa.string())]
                yield pa.RecordBatch.from_arrays(columns, schema=self.schema)
        except (pa.ArrowException, OSError) as error:
            why = f"row group {group} is damaged ({first_line(error)})"
            for start in range(read, expected, ROWS):
                yield unread_rows(self.schema, [why] * min(ROWS, expected - start))


class CsvSource(Lines):
    """CSV with a header line; every column is text."""

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        super().__init__(path)
        head, _, self._buffer = self._buffer.partition(b"\n")
        delimiters = [d for d in ",;\t|" if d.encode() in head]
        self._delimiter = max(delimiters, key=lambda d: head.count(d.encode()), default=",")
        names = self._header(head)
        check_mapping(mapping, names)
        self._names = renamed(names, mapping)
        self._quotes = Quotes(self._delimiter, len(names))
        # What stands in for a line that cannot be read: no line of text is like it, and it has a field too many.
        self._slip = b"\0" + self._delimiter.encode() * len(names)
        self.schema = with_unread(pa.schema([(n, pa.string()) for n in self._names]))

    def _header(self, head: bytes) -> list[str]:
        import csv

        try:
            names = next(csv.reader([head.decode("utf-8").rstrip("\r")], delimiter=self._delimiter), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadData(f"{self._name}: the header line cannot be read: {error}") from None
        return [name.strip() or f"column_{i}" for i, name in enumerate(names, 1)]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Block by block."""
        for block in self._blocks():
            yield from split(self._parsed(block))

    def _whole(self, block: bytes) -> int:
        return self._quotes.whole(block)

    def _parsed(self, block: bytes) -> pa.RecordBatch:
        """A row for each record of a block; a line that spoils others costs itself alone."""
        wrong: dict[int, str] = {}

        def note(row: Any) -> str:  # noqa: ANN401 - Arrow's InvalidRow
            slip = row.text == self._slip.decode()
            fields = f"{row.actual_columns} fields where the header has {row.expected_columns}"
            wrong[row.number] = "a quote is not closed" if slip else fields
            return "skip"

        # Arrow gives up a whole block for a row with a field too many and bytes that are no text.
        text = self._without_slips(_with_marks(block))
        try:
            table = arrow_csv.read_csv(
                io.BytesIO(text),
                arrow_csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=self._names),
                arrow_csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=note,
                    ignore_empty_lines=len(self._names) > 1,
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(self._names, pa.string()), null_values=_NULLS, strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )  # fmt: skip
        except pa.ArrowInvalid as error:
            lines = block.count(b"\n")
            return unread_rows(self.schema, [first_line(error)] * lines)
        columns = [_in_one(table.column(n)) for n in self._names]
        good = pa.RecordBatch.from_arrays([*columns, pa.nulls(table.num_rows, pa.string())], schema=self.schema)
        return _interleaved(good, wrong) if wrong else good

    def _without_slips(self, block: bytes) -> bytes:
        """The block with something in place of each line whose quote is not closed."""
        pieces, at = [], 0
        for slip in self._quotes.slips(block):
            pieces += [block[at : slip.start], self._slip]
            at = slip.end
        return b"".join([*pieces, block[at:]]) if pieces else block


def _with_marks(block: bytes) -> bytes:
    r"""The block, with marks in place of what is no UTF-8.

    >>> _with_marks(b"a,\xff\n").decode()
    'a,\ufffd\n'
    """
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode("utf-8", "replace").encode()
    return block


def _in_one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _interleaved(good: pa.RecordBatch, wrong: Mapping[int, str]) -> pa.RecordBatch:
    """Rows with those that could not be read in their places; `wrong` by number of the row in the block, from 1."""
    total = len(good) + len(wrong)
    bad = unread_rows(good.schema, [wrong[n] for n in sorted(wrong)])
    place = {n - 1: len(good) + i for i, n in enumerate(sorted(wrong))}
    rest = iter(range(len(good)))
    order = [place[i] if i in place else next(rest, 0) for i in range(total)]
    return pa.concat_batches([good, bad]).take(pa.array(order))


def open_source(path: Path, form: str | None, mapping: Mapping[str, str]) -> Source:
    """A table to read.

    Parameters
    ----------
    path
        File, or `-` for stdin.
    form
        One of FORMATS; None: by the file's name, for stdin CSV.
    mapping
        Their names of columns -> ours.

    Raises
    ------
    BadData
        It cannot be read, is empty, or the mapping does not fit it.
    """
    standard = str(path) == "-"
    chosen = form or ("csv" if standard else format_of(path))
    if chosen is None:
        raise BadData(f"{path}: the name tells no format; give --input-format {'|'.join(FORMATS)}")
    if chosen == "parquet" and standard:
        raise BadData("Parquet cannot be read from stdin: give the file's name")
    if not standard and not path.is_file():
        raise BadData(f"{path} is no file")
    makers: dict[str, type[ParquetSource | CsvSource | JsonSource]] = {
        "parquet": ParquetSource,
        "csv": CsvSource,
        "jsonl": JsonSource,
    }
    return makers[chosen](path, mapping)

"""Tables as they come: Parquet, CSV and JSON Lines as batches of bounded size in the file's order.

What cannot be read stays in its place as a row that says why (column `__unread`). How a file is cut hangs on nothing
but the file, so that a run can be taken up again.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.json as arrow_json
import pyarrow.parquet as pq

from locsvc.errors import BadData
from locsvc.tables.form import CALL_JSON, UNREAD, check_mapping, renamed

FORMATS = ("parquet", "csv", "jsonl")
ROWS = 16_384
# Bytes of text that are read at once; and how far a quoted field is looked for before its quote is taken for a slip.
BLOCK, MOST_HELD = 1 << 20, 1 << 24
_NULLS = ["", "NULL", "null", "NaN", "nan", "NA", "None", r"\N"]
_BOM = b"\xef\xbb\xbf"


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


class Source(ABC):
    """A table being read.

    `schema` has our names; `rows` is how many rows there are, None where that is not known before the end.
    """

    schema: pa.Schema
    rows: int | None = None

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


class ParquetSource(Source):
    """A Parquet file; a row group that cannot be read costs its own rows."""

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise BadData(f"{path} cannot be read as Parquet: {_first_line(error)}") from None
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
            why = f"row group {group} is damaged ({_first_line(error)})"
            for start in range(read, expected, ROWS):
                yield unread_rows(self.schema, [why] * min(ROWS, expected - start))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


class _Lines(Source):
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
        self._buffer = self._read(BLOCK).removeprefix(_BOM)
        if not self._buffer.strip():
            raise BadData(f"{self._name} is empty")

    def close(self) -> None:
        """Lets go of the file; stdin is left."""
        if self._name != "stdin":
            self._raw.close()

    def _peek(self, count: int) -> bytes:
        if not isinstance(self._raw, io.BufferedReader):
            self._raw = io.BufferedReader(self._raw)  # type: ignore[type-var]  # a raw stream
        return self._raw.peek(count)[:count]

    def _read(self, size: int) -> bytes:
        try:
            return self._bytes.read(size)
        except (OSError, EOFError) as error:
            raise BadData(f"{self._name} cannot be read: {_first_line(error)}") from None

    def share_read(self, rows: int) -> float | None:
        """By bytes of the file."""
        del rows
        return self._raw.tell() / self._size if self._size else None

    def _blocks(self, *, quoted: bool) -> Iterator[bytes]:
        """Whole lines; with `quoted`, no cut inside of a quoted field."""
        held, self._buffer = self._buffer, b""
        while True:
            more = self._read(BLOCK)
            if not more:
                break
            cut = _cut(held, quoted=quoted)
            if cut:
                yield held[:cut]
            held = held[cut:] + more
        if held:
            yield held if held.endswith(b"\n") else held + b"\n"


def _cut(block: bytes, *, quoted: bool) -> int:
    r"""Where the last whole record of a block ends; 0 for nowhere.

    >>> _cut(b'a,b\nc,"d\ne', quoted=True), _cut(b"a\nb", quoted=False)
    (4, 2)
    """
    cut = block.rfind(b"\n") + 1
    if not quoted:
        return cut
    odd = block.count(b'"', 0, cut) % 2
    while cut and odd:
        before = block.rfind(b"\n", 0, cut - 1) + 1
        odd ^= block.count(b'"', before, cut) % 2
        cut = before
    return cut or (block.rfind(b"\n") + 1 if len(block) > MOST_HELD else 0)


class CsvSource(_Lines):
    """CSV with a header line; every column is text."""

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        super().__init__(path)
        head, _, self._buffer = self._buffer.partition(b"\n")
        delimiters = [d for d in ",;\t|" if d.encode() in head]
        self._delimiter = max(delimiters, key=lambda d: head.count(d.encode()), default=",")
        names = self._header(head)
        check_mapping(mapping, names)
        self._names = renamed(names, mapping)
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
        for block in self._blocks(quoted=True):
            yield from _split(self._parsed(block))

    def _parsed(self, block: bytes) -> pa.RecordBatch:
        wrong: dict[int, str] = {}

        def note(row: Any) -> str:  # noqa: ANN401 - Arrow's InvalidRow
            wrong[row.number] = f"{row.actual_columns} fields where the header has {row.expected_columns}"
            return "skip"

        binary = pa.binary()
        try:
            table = arrow_csv.read_csv(
                io.BytesIO(block),
                arrow_csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=self._names),
                arrow_csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=note,
                    ignore_empty_lines=len(self._names) > 1,
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(self._names, binary), null_values=_NULLS, strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )  # fmt: skip
        except pa.ArrowInvalid as error:
            lines = block.count(b"\n")
            return unread_rows(self.schema, [_first_line(error)] * lines)
        columns = [_decoded(table.column(n).combine_chunks()) for n in self._names]
        good = pa.RecordBatch.from_arrays([*columns, pa.nulls(table.num_rows, pa.string())], schema=self.schema)
        return _interleaved(good, wrong) if wrong else good


def _decoded(column: pa.Array) -> pa.Array:
    """Bytes as text; what is no UTF-8 is replaced by marks."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.binary())
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if v is None else v.decode("utf-8", "replace") for v in column.to_pylist()], pa.string())


def _interleaved(good: pa.RecordBatch, wrong: Mapping[int, str]) -> pa.RecordBatch:
    """Rows with those that could not be read in their places; `wrong` by number of the row in the block, from 1."""
    total = len(good) + len(wrong)
    bad = unread_rows(good.schema, [wrong[n] for n in sorted(wrong)])
    place = {n - 1: len(good) + i for i, n in enumerate(sorted(wrong))}
    rest = iter(range(len(good)))
    order = [place[i] if i in place else next(rest, 0) for i in range(total)]
    return pa.concat_batches([good, bad]).take(pa.array(order))


def _split(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(batch), ROWS):
        yield batch.slice(start, ROWS)


class JsonSource(_Lines):
    """JSON Lines: rows of the table form, or calls of the contract; the first line tells which.

    Columns are those of the first block.
    """

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        super().__init__(path)
        while not self._buffer.lstrip().startswith(b"[") and b"\n" not in self._buffer:
            more = self._read(BLOCK)
            if not more:
                break
            self._buffer += more
        first = _object(self._buffer.lstrip().split(b"\n", 1)[0])
        self._calls = isinstance(first, dict) and ("evidence" in first or "calling_number" in first and len(first) < 4)  # noqa: RUF021
        self._blocks_read = self._blocks(quoted=False)
        self._first = next(self._blocks_read)
        if self._calls:
            self.schema = with_unread(pa.schema([(CALL_JSON, pa.string())]))
            return
        rows = self._parsed(self._first, None)
        theirs = [n for n in rows.schema.names if n != UNREAD]
        check_mapping(mapping, theirs)
        self._names = renamed(theirs, mapping)
        self._theirs = pa.schema([rows.schema.field(n) for n in theirs])
        self.schema = with_unread(
            pa.schema([self._theirs.field(t).with_name(n) for t, n in zip(theirs, self._names, strict=True)])
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Block by block."""
        yield from _split(self._read_block(self._first))
        for block in self._blocks_read:
            yield from _split(self._read_block(block))

    def _read_block(self, block: bytes) -> pa.RecordBatch:
        if self._calls:
            lines = [x for x in block.split(b"\n") if x.strip()]
            texts = pa.array([x.decode("utf-8", "replace") for x in lines], pa.string())
            return pa.RecordBatch.from_arrays([texts, pa.nulls(len(lines), pa.string())], schema=self.schema)
        rows = self._parsed(block, self._theirs)
        return pa.RecordBatch.from_arrays(rows.columns, schema=self.schema)

    def _parsed(self, block: bytes, schema: pa.Schema | None) -> pa.RecordBatch:
        """The rows of a block with the columns of `schema`, or those that the block has, and why some are not read."""
        whole = arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1)
        other = "infer" if schema is None else "ignore"
        try:
            table = arrow_json.read_json(
                io.BytesIO(block),
                whole,
                arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=other),
            )
            if schema is not None:
                table = table.select(schema.names)
            columns = [_in_one(c) for c in table.columns]
            fields = with_unread(table.schema)
            return pa.RecordBatch.from_arrays([*columns, pa.nulls(table.num_rows, pa.string())], schema=fields)
        except pa.ArrowInvalid:
            return _line_by_line(block, schema)


def _in_one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _object(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _line_by_line(block: bytes, schema: pa.Schema | None) -> pa.RecordBatch:
    """Rows of a block of which some cannot be read, or do not agree on a column's type: such columns are text."""
    lines = [x for x in block.split(b"\n") if x.strip()]
    rows = [_object(x) for x in lines]
    why = [None if isinstance(r, dict) else "is not a JSON object" for r in rows]
    held: list[dict[str, object]] = [r if isinstance(r, dict) else {} for r in rows]
    names = schema.names if schema is not None else list(dict.fromkeys(n for r in held for n in r))
    columns = [_column([r.get(n) for r in held], None if schema is None else schema.field(n).type) for n in names]
    fields = [pa.field(n, c.type) for n, c in zip(names, columns, strict=True)]
    return pa.RecordBatch.from_arrays([*columns, pa.array(why, pa.string())], schema=with_unread(pa.schema(fields)))


def _column(values: list[object], kind: pa.DataType | None) -> pa.Array:
    """Values as a column of a type; of the type that they agree on, else as text, where none is given."""
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        if kind is None:
            return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values])
        return pa.array([_one(v, kind) for v in values], kind)


def _one(value: object, kind: pa.DataType) -> object:
    """A value if a column of that type can hold it, else None."""
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None


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

"""Rows on their way through Spark: read from what Spark read, numbered, answered, written as lines."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from locsvc.batch.engine import cut
from locsvc.batch.outputs import header_bytes, part_bytes
from locsvc.batch.spark.grouping import calls_in, names_of
from locsvc.batch.spark.tasks import resolver_of
from locsvc.batch.spark.units import CsvBlocks, JsonBlocks
from locsvc.batch.tally import Tally, tally_of
from locsvc.batch.work import Orders, answered
from locsvc.errors import BadData
from locsvc.tables.form import CALL, ROW
from locsvc.tables.inputs import unread_rows
from locsvc.tables.json_lines import columns_of, joined

# By which rows of one call come together: the call's name, or one that no other row has.
ID = "__id"
# Columns of lines of JSON, and where the piece of a file stands that has them.
COLUMNS = pa.schema([pa.field("file", pa.string()), pa.field("nth", pa.int64()), pa.field("columns", pa.binary())])
# Counts of some answers, in the first of their rows.
TALLY = pa.field("__tally", pa.string())


@dataclass(frozen=True, slots=True)
class Text:
    """How lines become rows: by the first line of the first file, and by the columns of all lines of JSON."""

    form: str
    head: str
    mapping: tuple[tuple[str, str], ...]
    columns: pa.Schema | None = None

    def reader(self, folder: Path) -> CsvBlocks | JsonBlocks:
        """A reader of blocks of lines."""
        path = folder / "head"
        path.write_bytes(self.head.encode("utf-8", "surrogateescape"))
        mapping = dict(self.mapping)
        return CsvBlocks(path, mapping) if self.form == "csv" else JsonBlocks(path, mapping, self.columns)


@dataclass(frozen=True, slots=True)
class Read:
    """How what Spark reads becomes rows with our names: their schema, where pieces begin, and how text is read."""

    schema: pa.Schema
    starts: dict[tuple[str, int], int]
    text: Text | None


def travelling(schema: pa.Schema) -> pa.Schema:
    """The schema of rows that go to where their call is answered."""
    return pa.schema([pa.field(ID, pa.string()), pa.field(ROW, pa.int64()), *schema])


def carried(schema: pa.Schema) -> pa.Schema:
    """The schema in types that Spark has."""
    return pa.schema([pa.field(f.name, _carried(f.type)) for f in schema])


def _carried(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_carried(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _carried(f.type)) for f in kind])
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC")
    if pa.types.is_null(kind):
        return pa.string()
    return pa.int64() if pa.types.is_uint64(kind) else kind


def restored(schema: pa.Schema) -> pa.Schema:
    """The schema of answers as they are written: cells unsigned, the rest as Spark carried it."""
    return pa.schema([f if f.name == "region_cells" else pa.field(f.name, _carried(f.type)) for f in schema])


def rows_of(read: Read, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of `travelling(read.schema)`."""
    schema = carried(travelling(read.schema))
    for batch in _numbered(read, batches):
        number = batch.column(ROW)
        # No name has a line's end round it.
        own = pc.binary_join_element_wise("\n", number.cast(pa.string()), "")
        name = pc.coalesce(names_of(batch), own)
        columns = [name, number, *(batch.column(f.name) for f in read.schema)]
        yield pa.RecordBatch.from_arrays([c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _numbered(read: Read, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows with our names and their numbers in the input."""
    if read.text is None:
        for batch in batches:
            starts = pc.dictionary_encode(batch.column("file"))
            first = np.array([read.starts[f, 0] for f in starts.dictionary.to_pylist()], np.int64)
            number = first[starts.indices.to_numpy()] + batch.column("nth").to_numpy()
            columns = [c.cast(f.type) for c, f in zip(batch.columns[2:], read.schema, strict=True)]
            found = pa.RecordBatch.from_arrays(columns, schema=read.schema)
            yield found.append_column(ROW, pa.array(number, pa.int64()))
        return
    yield from _numbered_lines(read, read.text, batches)


def _numbered_lines(read: Read, text: Text, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of lines."""
    header = text.head.split("\n", 1)[0].encode("utf-8", "surrogateescape").strip()
    names = [*read.schema.names, ROW]
    with tempfile.TemporaryDirectory(prefix="locsvc-") as folder, closing(text.reader(Path(folder))) as reader:
        place, at = ("", -1), 0
        for piece, found in (x for batch in batches for x in _pieces(batch)):
            lines = found
            if piece != place:
                place, at = piece, read.starts[piece]
                if text.form == "csv" and piece[1] == 0:
                    if lines[0].strip() != header:
                        raise BadData(f"{piece[0]} has another header than the first file; give files of one header")
                    lines = lines[1:]
            rows = _parsed(reader, lines)
            columns = [c.cast(f.type) for c, f in zip(rows.columns, read.schema, strict=True)]
            yield pa.RecordBatch.from_arrays([*columns, pa.array(np.arange(at, at + len(lines)))], names=names)
            at += len(lines)


def _pieces(batch: pa.RecordBatch) -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """Lines of one piece of a file each."""
    file, nth = (batch.column(n).to_pylist() for n in ("file", "nth"))
    lines = batch.column("value").cast(pa.binary()).to_pylist()
    begin = 0
    for i in range(1, len(lines) + 1):
        if i == len(lines) or (file[i], nth[i]) != (file[begin], nth[begin]):
            yield (file[begin], nth[begin]), lines[begin:i]
            begin = i


def columns_in(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The columns of each piece of a file with lines of JSON, in the order of their lines."""
    found: dict[tuple[str, int], pa.Schema] = {}
    for piece, lines in (x for batch in batches for x in _pieces(batch)):
        held = [found[piece]] if piece in found else []
        found[piece] = joined([*held, columns_of([b"\n".join(lines) + b"\n"])])
    packed = [(*piece, schema.serialize().to_pybytes()) for piece, schema in found.items()]
    yield pa.RecordBatch.from_pylist([dict(zip(COLUMNS.names, row, strict=True)) for row in packed], COLUMNS)


def _parsed(reader: CsvBlocks | JsonBlocks, lines: list[bytes]) -> pa.RecordBatch:
    """A row a line: quotes do not reach over lines here, as Spark cuts a text at any of them."""
    if isinstance(reader, JsonBlocks):
        return reader.parsed(b"\n".join(lines) + b"\n")
    odd = [i for i, line in enumerate(lines) if line.count(b'"') % 2 and not reader.is_whole(line)]
    if odd:
        why = "a quoted field goes on in another line, which is not read from URLs"
        bad = unread_rows(reader.schema, [why] * len(odd))
        good = set(range(len(lines))) - set(odd)
        order = np.argsort(np.array([*sorted(good), *odd]), kind="stable")
        return pa.concat_batches([_parsed(reader, [lines[i] for i in sorted(good)]), bad]).take(pa.array(order))
    if not lines:
        return unread_rows(reader.schema, [])
    found = reader.parsed(b"\n".join(lines) + b"\n")
    if len(found) == len(lines):
        return found
    if len(lines) == 1:
        return unread_rows(reader.schema, ["is not one row"])
    return pa.concat_batches([_parsed(reader, [line]) for line in lines])


def answer_rows(
    read: Read, orders: Orders, batches: Iterable[pa.RecordBatch], *, shipped: bool
) -> Iterator[pa.RecordBatch]:
    """The answers to rows, with the number of each call's last row, and counts.

    Raises
    ------
    ConfigError
        The data directory has another snapshot than the driver's.
    BadData
        A file of the input has another header than the first.
    """
    resolver = resolver_of(orders, shipped=shipped)
    for whole in _calls(read, batches):
        for batch in cut(whole):
            call, row = (batch.column(n).to_numpy() for n in (CALL, ROW))
            found = answered(resolver, batch, orders.confidence)
            tally = json.dumps(tally_of(found, len(batch)).to_json())
            last = row[np.append(call[1:] != call[:-1], True)]
            columns = [*found.columns, pa.array(last), pa.array([tally, *[None] * (len(found) - 1)], pa.string())]
            schema = carried(pa.schema([*found.schema, pa.field(ROW, pa.int64()), TALLY]))
            yield pa.RecordBatch.from_arrays(
                [c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
            )


def _calls(read: Read, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Whole calls, numbered."""
    if "call_id" not in read.schema.names:
        for batch in _numbered(read, batches):
            yield batch.append_column(CALL, pa.array(np.arange(len(batch))))
        return
    for batch, call in calls_in(batches, 1):
        yield batch.drop_columns([ID]).append_column(CALL, pa.array(call))


def merged(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """All counts of a task as one."""
    total = Tally()
    for batch in batches:
        for text in batch.column(0).to_pylist():
            total.add(Tally.from_json(json.loads(text)))
    yield pa.RecordBatch.from_arrays([pa.array([json.dumps(total.to_json())])], schema=pa.schema([TALLY]))


def lines_of(schema: pa.Schema, form: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Answers as lines of text, those of CSV with a header for each task."""
    value = pa.schema([pa.field("value", pa.string())])
    header = header_bytes(schema, form)
    if header:
        yield pa.RecordBatch.from_arrays([pa.array([header.decode().rstrip("\n")])], schema=value)
    for batch in batches:
        columns = [c.cast(f.type) for c, f in zip(batch.columns, schema, strict=True)]
        for row in range(len(batch)):
            one = pa.RecordBatch.from_arrays([c.slice(row, 1) for c in columns], schema=schema)
            text = part_bytes(one, form).decode().removesuffix("\n")
            yield pa.RecordBatch.from_arrays([pa.array([text])], schema=value)

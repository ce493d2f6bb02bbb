"""JSON Lines as tables: rows of the table form, or calls of the contract.

A row says what it has, so columns may begin anywhere: a file is gone through once before it is read, for its columns
and their types. What comes from stdin cannot be: its evidence is taken whenever it begins, other columns that begin
after the first block are left out, and told.
"""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.json as arrow_json

from locsvc.tables.form import CALL_JSON, EVIDENCE_COLUMNS, OWN, UNREAD, check_mapping, renamed
from locsvc.tables.text import BLOCK, Lines, split, with_unread

# The columns of a file by its path, size and time of change: tasks of Spark open the same one again and again.
_columns_of: dict[tuple[Path, int, int], pa.Schema] = {}


class JsonSource(Lines):
    """JSON Lines: rows of the table form, or calls of the contract; the first line tells which."""

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        super().__init__(path)
        while not self._buffer.lstrip().startswith(b"[") and b"\n" not in self._buffer:
            more = self._read(BLOCK)
            if not more:
                break
            self._buffer += more
        self._calls = holds_calls(self._buffer.lstrip().split(b"\n", 1)[0])
        self._blocks_read = self._blocks()
        self._first = next(self._blocks_read)
        self._left_out: Counter[str] = Counter()
        if self._calls:
            self.schema = with_unread(pa.schema([(CALL_JSON, pa.string())]))
            return
        if self._size:
            self._theirs = self._columns(path)
        else:
            self._theirs = _with_evidence(columns_of([self._first]), mapping)
        theirs = self._theirs.names
        check_mapping(mapping, theirs)
        self._names = renamed(theirs, mapping)
        self.schema = with_unread(
            pa.schema([self._theirs.field(t).with_name(n) for t, n in zip(theirs, self._names, strict=True)])
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Block by block."""
        yield from split(self._read_block(self._first))
        for block in self._blocks_read:
            yield from split(self._read_block(block))

    def left_out(self) -> Mapping[str, int]:
        """Columns of stdin that began after its first block and are no evidence."""
        return self._left_out

    def _columns(self, path: Path) -> pa.Schema:
        """The columns of the whole file with the types that all rows agree on; looked for once in a process."""
        stat = path.stat()
        state = (path.resolve(), stat.st_size, stat.st_mtime_ns)
        if state not in _columns_of:
            _columns_of.clear()
            _columns_of[state] = columns_of(itertools.chain([self._first], self._blocks_read))
            # From the beginning once more.
            super().__init__(path)
            self._blocks_read = self._blocks()
            self._first = next(self._blocks_read)
        return _columns_of[state]

    def _read_block(self, block: bytes) -> pa.RecordBatch:
        if self._calls:
            lines = [x for x in block.split(b"\n") if x.strip()]
            texts = pa.array([x.decode("utf-8", "replace") for x in lines], pa.string())
            return pa.RecordBatch.from_arrays([texts, pa.nulls(len(lines), pa.string())], schema=self.schema)
        rows = _parsed(block, self._theirs)
        if not self._size:
            late = [n for n in rows.schema.names if n not in self._theirs.names and n != UNREAD]
            self._left_out.update({n: len(rows) - rows.column(n).null_count for n in late})
        columns = [rows.column(n) for n in (*self._theirs.names, UNREAD)]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def holds_calls(line: bytes) -> bool:
    """Whether a line is a call of the contract; else it is a row.

    >>> holds_calls(b'{"call_id": "a", "evidence": []}'), holds_calls(b'{"call_id": "a", "latitude": 55}')
    (True, False)
    """
    first = _object(line)
    return isinstance(first, dict) and ("evidence" in first or ("calling_number" in first and len(first) < 4))


def columns_of(blocks: Iterable[bytes]) -> pa.Schema:
    """The columns of some blocks; those whose types do not agree are text."""
    found = (_parsed(block, None).schema for block in blocks)
    return joined(pa.schema([f for f in schema if f.name != UNREAD]) for schema in found)


def joined(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of several pieces of a table in the order in which they begin, with types that hold all of them."""
    kinds: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            held = kinds.get(field.name)
            kinds[field.name] = field if held is None else _both(held, field)
    return pa.schema(list(kinds.values()))


def _both(one: pa.Field, other: pa.Field) -> pa.Field:
    if one.type == other.type:
        return one
    try:
        return pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive").field(0)
    except pa.ArrowTypeError:
        return pa.field(one.name, pa.string())


def _with_evidence(schema: pa.Schema, mapping: Mapping[str, str]) -> pa.Schema:
    """The columns, and those of evidence that may still come, as text."""
    held = {mapping.get(n, n) for n in schema.names} | set(schema.names)
    more = [n for n in ("call_id", "t", *EVIDENCE_COLUMNS) if n not in held]
    return pa.schema([*schema, *(pa.field(n, pa.string()) for n in more)])


def _parsed(block: bytes, schema: pa.Schema | None) -> pa.RecordBatch:
    """The rows of a block with the columns of `schema`, then those that it has besides, and why some are not read."""
    whole = arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1)
    try:
        options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer")
        table = arrow_json.read_json(io.BytesIO(block), whole, options)
    except pa.ArrowInvalid:
        return _line_by_line(block, schema)
    names = [n for n in table.schema.names if n not in OWN]
    columns = [_in_one(table.column(n)) for n in names]
    fields = [pa.field(n, c.type) for n, c in zip(names, columns, strict=True)]
    unread = pa.nulls(table.num_rows, pa.string())
    return pa.RecordBatch.from_arrays([*columns, unread], schema=with_unread(pa.schema(fields)))


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
    known = {} if schema is None else {f.name: f.type for f in schema}
    names = [n for n in dict.fromkeys((*known, *(n for r in held for n in r))) if n not in OWN]
    columns = [_column([r.get(n) for r in held], known.get(n)) for n in names]
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
    """A value if a column of that type can hold it, else None; a column of texts holds all."""
    if pa.types.is_string(kind) and value is not None and not isinstance(value, str):
        return json.dumps(value)
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None

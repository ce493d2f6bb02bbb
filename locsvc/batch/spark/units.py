"""An input cut into units, each read by one task with the local engine's readers and at that engine's cuts.

A block of text or a row group that cannot be read is then told of the same rows by both engines. Where a row stands in
the input is known before it is answered, so nothing hangs on which task reads what.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.errors import BadData
from locsvc.tables.form import ROW
from locsvc.tables.inputs import FORMATS, CsvSource, JsonSource, ParquetSource, format_of

Ints = npt.NDArray[np.int64]

# Rows of a row group that are a unit: a second or so of work. A unit of text is a block of the local engine.
UNIT_ROWS = 32_768
_BOM = b"\xef\xbb\xbf"


class Unit(NamedTuple):
    """What one task reads of a file: bytes `at` to `at + size` of a text, or rows of row group `at` from `size` on.

    `rows` is -1 where nobody has counted them yet.
    """

    file: int
    at: int
    size: int
    rows: int


class Reader(Protocol):
    """A file that can be read unit by unit."""

    schema: pa.Schema

    @abstractmethod
    def units(self, file: int) -> Iterator[Unit]:
        """The file's units, in order."""

    @abstractmethod
    def read(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        """The rows of a unit."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


class ParquetGroups(ParquetSource):
    """Rows of row groups; the next rows of a group are read on from where the last were."""

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        super().__init__(path, mapping)
        self._group_at = self._row_at = -1
        self._rest: Iterator[pa.RecordBatch] = iter(())
        self._left: pa.RecordBatch | None = None

    def units(self, file: int) -> Iterator[Unit]:
        """The file's units, in order."""
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            for start in range(0, rows, UNIT_ROWS):
                yield Unit(file, group, start, min(UNIT_ROWS, rows - start))

    def read(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        """The rows of a unit."""
        if self._group_at != unit.at or self._row_at > unit.size:
            self._group_at, self._row_at, self._left = unit.at, 0, None
            self._rest = self._group(unit.at)
        end = unit.size + unit.rows
        while self._row_at < end:
            batch = self._left if self._left is not None else next(self._rest)
            first = self._row_at
            used = min(len(batch), (unit.size if first < unit.size else end) - first)
            self._left = batch.slice(used) if used < len(batch) else None
            self._row_at = first + used
            if first >= unit.size:
                yield batch.slice(0, used)

    def close(self) -> None:
        """Let go of the file."""
        self._rest, self._left = iter(()), None
        super().close()


class CsvBlocks(CsvSource):
    """Blocks of CSV."""

    def units(self, file: int) -> Iterator[Unit]:
        """The file's units, in order."""
        at = self._bytes.tell() - len(self._buffer)
        for block in self._blocks():
            yield Unit(file, at, len(block), -1)
            at += len(block)

    def read(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        """The rows of a unit."""
        yield self.parsed(_bytes_of(self._path, unit))

    def parsed(self, block: bytes) -> pa.RecordBatch:
        """The rows of a block of whole lines."""
        return self._parsed(block)

    def is_whole(self, line: bytes) -> bool:
        """Whether a line is a record by itself, its quotes closed."""
        return self._quotes.is_whole(line)


class JsonBlocks(JsonSource):
    """Blocks of JSON Lines; with `known` columns, the file is not gone through for them."""

    def __init__(self, path: Path, mapping: Mapping[str, str], known: pa.Schema | None = None) -> None:
        self._known = known
        super().__init__(path, mapping)

    def _columns(self, path: Path) -> pa.Schema:
        if self._known is not None:
            return self._known
        first = self._raw
        found = super()._columns(path)
        if first is not self._raw:
            # It was opened once more, to be read from its beginning.
            first.close()
        return found

    def columns(self) -> pa.Schema | None:
        """The columns of the file with their own names; None where lines are calls."""
        return None if self._calls else self._theirs

    def units(self, file: int) -> Iterator[Unit]:
        """The file's units, in order."""
        with self._path.open("rb") as raw:
            at = len(_BOM) if raw.read(len(_BOM)) == _BOM else 0
        for block in (self._first, *self._blocks_read):
            yield Unit(file, at, len(block), -1)
            at += len(block)

    def read(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        """The rows of a unit."""
        yield self.parsed(_bytes_of(self._path, unit))

    def parsed(self, block: bytes) -> pa.RecordBatch:
        """The rows of a block of whole lines."""
        return self._read_block(block)


def _bytes_of(path: Path, unit: Unit) -> bytes:
    """A unit's text; the last line of a file may end without its end."""
    with path.open("rb") as raw:
        raw.seek(unit.at)
        block = raw.read(unit.size)
    return block if block.endswith(b"\n") else block + b"\n"


@dataclass(frozen=True, slots=True)
class Tables:
    """Files of one form and one header, one after the other.

    `marks` are size and time of change of each; `columns` those of JSON Lines, known once all were gone through.
    """

    files: tuple[str, ...]
    marks: tuple[tuple[int, int], ...]
    form: str
    mapping: tuple[tuple[str, str], ...]
    columns: pa.Schema | None = None

    def reader(self, file: int) -> Reader:
        """One of the files, to be read.

        Raises
        ------
        BadData
            It cannot be read, or has changed since the run began.
        """
        path = Path(self.files[file])
        if _mark(path) != self.marks[file]:
            raise BadData(f"{path} has changed while it was read; start the run again")
        if self.form == "jsonl":
            return JsonBlocks(path, dict(self.mapping), self.columns)
        return (ParquetGroups if self.form == "parquet" else CsvBlocks)(path, dict(self.mapping))

    def moved(self, files: list[Path]) -> Tables:
        """The same with files of other names."""
        return Tables(tuple(str(f) for f in files), tuple(_mark(f) for f in files), self.form, self.mapping)


def _mark(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}; driver and executors must see it") from None
    return stat.st_size, stat.st_mtime_ns


def tables_in(source: Path, form: str | None, mapping: Mapping[str, str]) -> Tables:
    """The files of an input: itself, or those of a directory by name, without hidden ones.

    Raises
    ------
    BadData
        There is none, or nothing tells its form.
    """
    files = [source]
    if source.is_dir():
        files = sorted(p for p in source.rglob("*") if p.is_file() and _counts(p.relative_to(source)))
    if not files or not files[0].is_file():
        raise BadData(f"{source} is no file, and no directory with files")
    chosen = form or format_of(files[0])
    if chosen is None:
        raise BadData(f"{files[0]}: the name tells no format; give --input-format {'|'.join(FORMATS)}")
    return Tables(
        tuple(str(f.resolve()) for f in files), tuple(_mark(f) for f in files), chosen, tuple(mapping.items())
    )


def _counts(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts)


class Plan:
    """The units of an input in order: columns of numbers, as there may be many."""

    def __init__(self, tables: Tables, units: Ints) -> None:
        self.tables = tables
        self._units = units

    def __len__(self) -> int:
        return len(self._units)

    def __getitem__(self, number: int) -> Unit:
        return Unit(*self._units[number].tolist())

    @property
    def counted(self) -> bool:
        """Whether the rows of all units are known."""
        return bool((self._units[:, 3] >= 0).all())

    def with_rows(self, rows: Ints) -> Plan:
        """The plan with the rows of each unit, (units,)."""
        units = self._units.copy()
        units[:, 3] = rows
        return Plan(self.tables, units)

    def firsts(self) -> Ints:
        """The number of each unit's first row in the input from 1, and of the row after the last: (units + 1,)."""
        result: Ints = np.concatenate(([1], 1 + np.cumsum(self._units[:, 3])))
        return result


def plan_of(tables: Tables) -> tuple[Plan, pa.Schema]:
    """The units of all files, and the schema that they share.

    Raises
    ------
    BadData
        A file cannot be read, or has other columns than the first.
    """
    schema: pa.Schema | None = None
    columns: pa.Schema | None = None
    units: list[Ints] = []
    for file, path in enumerate(tables.files):
        with contextlib.closing(tables.reader(file)) as reader:
            if schema is not None and not reader.schema.equals(schema):
                why = f"{path} has other columns than {tables.files[0]}; files of a directory share their columns"
                raise BadData(why)
            schema = reader.schema
            columns = reader.columns() if isinstance(reader, JsonBlocks) else None
            units.append(np.array(list(reader.units(file)), np.int64).reshape(-1, 4))
    if schema is None:
        raise BadData("there is nothing to read")
    return Plan(replace(tables, columns=columns), np.concatenate(units)), schema


class Rows:
    """Reads units of a plan, numbered; keeps the last file open for the next unit."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._firsts = plan.firsts()
        self._open: tuple[int, Reader] | None = None

    def batches(self, number: int) -> Iterator[pa.RecordBatch]:
        """A unit as it is read."""
        unit = self._plan[number]
        if self._open is None or self._open[0] != unit.file:
            self.close()
            self._open = (unit.file, self._plan.tables.reader(unit.file))
        yield from self._open[1].read(unit)

    def numbered(self, number: int) -> pa.RecordBatch:
        """A unit with the numbers of its rows in the input."""
        batch = pa.concat_batches(list(self.batches(number)))
        first = int(self._firsts[number])
        return batch.append_column(ROW, pa.array(np.arange(first, first + len(batch))))

    def close(self) -> None:
        """Let go of the file that was read last."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

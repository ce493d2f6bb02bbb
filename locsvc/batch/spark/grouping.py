"""Rows of one call, wherever they stand: names and row numbers alone go through Spark's shuffle.

The rule is that of `locsvc.tables.grouping`. What comes out tells each unit which of its rows belong to a call that
ends elsewhere, and which rows of units before it belong to calls that end in it; rows that are calls of their own go
untold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from locsvc.batch.spark.units import Ints, Plan, Rows
from locsvc.tables.columns import plain, texts
from locsvc.tables.form import CALL, ROW
from locsvc.tables.grouping import GAP, MOST_ROWS

NAMED = pa.schema([pa.field("id", pa.string()), pa.field("row", pa.int64())])
# A row of the unit, and the last row of its call. A unit tells of itself by NOBODY.
TOLD = pa.schema([pa.field("key", pa.int64()), *(pa.field(n, pa.int64()) for n in ("unit", "last", "row"))])
NOBODY = -1


def names_of(batch: pa.RecordBatch) -> pa.Array:
    """The calls' names of rows; null where a row is a call of its own."""
    return texts(plain(batch.column("call_id"))).cast(pa.string())


def named_rows(plan: Plan, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Name and number of each row of some units that has a name."""
    with closing(Rows(plan)) as rows:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                unit = rows.numbered(number)
                name = names_of(unit)
                found = pa.RecordBatch.from_arrays([name, unit.column(ROW)], schema=NAMED)
                yield found.filter(name.is_valid())


def calls_in(batches: Iterable[pa.RecordBatch], names: int) -> Iterator[tuple[pa.RecordBatch, Ints]]:
    """Rows that are sorted by name and number, in whole calls, and the place of each row's call among them.

    The name is the first column, the row's number the column `names`.
    """
    held: pa.RecordBatch | None = None
    for batch in batches:
        if not len(batch):
            continue
        whole = batch if held is None else pa.concat_batches([held, batch])
        call = _calls(whole, names)
        # The last call may go on in the next batch.
        end = int(np.searchsorted(call, call[-1]))
        if end:
            yield whole.slice(0, end), call[:end]
        # A copy: a slice would keep all of the batch.
        held = whole.take(pa.array(np.arange(end, len(whole))))
    if held is not None:
        yield held, _calls(held, names)


def _calls(batch: pa.RecordBatch, names: int) -> Ints:
    """The number of each row's call, ascending from 0."""
    name, row = batch.column(0), batch.column(names).to_numpy()
    other = pc.not_equal(name.slice(1), name.slice(0, len(name) - 1)).to_numpy(zero_copy_only=False)
    new = np.append(True, other | (row[1:] - row[:-1] > GAP))
    nth = np.arange(len(row)) - np.flatnonzero(new)[np.cumsum(new) - 1]
    new |= nth % MOST_ROWS == 0
    result: Ints = np.cumsum(new) - 1
    return result


def told_rows(firsts: Ints, keys: Ints, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What units must know of calls with several rows: for sorted names and numbers, rows of TOLD.

    `keys` (units,) are those by which Spark brings what is told to the task of the unit.
    """
    for batch, call in calls_in(batches, 1):
        row = batch.column(1).to_numpy()
        ends = np.append(np.flatnonzero(call[1:] != call[:-1]), len(call) - 1)
        last = row[ends][call]
        several = np.bincount(call)[call] > 1
        row, last = row[several], last[several]
        its, of_call = (np.searchsorted(firsts, x, "right") - 1 for x in (row, last))
        apart = its != of_call
        unit = np.concatenate([of_call, its[apart]])
        columns = [keys[unit], unit, np.concatenate([last, last[apart]]), np.concatenate([row, row[apart]])]
        yield pa.RecordBatch.from_arrays([pa.array(c, pa.int64()) for c in columns], schema=TOLD)


def themselves(keys: Ints, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of TOLD by which each unit is there, told of anything or not."""
    for batch in batches:
        unit = batch.column(0).to_numpy()
        nobody = np.full(len(unit), NOBODY)
        columns = [pa.array(c, pa.int64()) for c in (keys[unit], unit, nobody, nobody)]
        yield pa.RecordBatch.from_arrays(columns, schema=TOLD)


def whole_calls(rows: Rows, firsts: Ints, number: int, last: Ints, row: Ints) -> pa.RecordBatch:
    """The calls that end in a unit, in the order of their last rows; `last` and `row` are what the unit was told."""
    unit = rows.numbered(number)
    first, end = int(firsts[number]), int(firsts[number + 1])
    if not len(row):
        return unit.append_column(CALL, pa.array(np.arange(len(unit))))
    last_of = np.arange(first, end)
    own = row >= first
    last_of[row[own] - first] = last[own]
    kept = last_of < end
    parts, lasts = [unit.filter(pa.array(kept))], [last_of[kept]]
    far, far_last = row[~own], last[~own]
    home = np.searchsorted(firsts, far, "right") - 1
    for other in np.unique(home).tolist():
        here = home == other
        parts.append(rows.numbered(other).take(pa.array(far[here] - int(firsts[other]))))
        lasts.append(far_last[here])
    whole, of = pa.concat_batches(parts), np.concatenate(lasts)
    order = np.lexsort((whole.column(ROW).to_numpy(), of))
    call = np.cumsum(np.append(False, np.diff(of[order]) != 0))
    return whole.take(pa.array(order)).append_column(CALL, pa.array(call[: len(order)]))

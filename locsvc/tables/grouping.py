"""Rows of one call, wherever they stand near each other: a bounded window over a stream of batches.

Rows with one `call_id` are one call when fewer than GAP rows of the input lie between one and the next; a call has
MOST_ROWS rows at most, and a further row begins another call of that name. Calls come out in the order of their last
rows. Which rows are one call never hangs on how the input is cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from locsvc.tables.columns import plain, texts
from locsvc.tables.form import CALL, ROW

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

GAP = 4096
# Each row may say two things and the contract takes 1,000 pieces a call.
MOST_ROWS = 256


class Grouper:
    """Takes batches in the input's order and gives them back in whole calls, numbered in the column `__call`."""

    def __init__(self) -> None:
        self._held: pa.RecordBatch | None = None
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The calls that no later row can belong to."""
        if ROW not in batch.schema.names:
            number = pa.array(np.arange(self._rows + 1, self._rows + 1 + len(batch)))
            batch = batch.append_column(ROW, number)
        self._rows += len(batch)
        yield from self._closed(batch, final=False)

    def end(self) -> Iterator[pa.RecordBatch]:
        """The calls that are left."""
        if self._held is not None:
            held, self._held = self._held, None
            yield from self._closed(held.slice(0, 0), final=True, held=held)

    def _closed(
        self, batch: pa.RecordBatch, *, final: bool, held: pa.RecordBatch | None = None
    ) -> Iterator[pa.RecordBatch]:
        held = self._held if held is None else held
        self._held = None
        if "call_id" not in batch.schema.names:
            yield batch.append_column(CALL, pa.array(np.arange(len(batch))))
            return
        whole = batch if held is None else pa.concat_batches([held, batch])
        if not len(whole):
            yield batch.append_column(CALL, pa.array([], pa.int64()))
            return
        row = whole.column(ROW).to_numpy()
        order, group = _groups(whole, row)
        last = np.maximum.reduceat(row[order], np.flatnonzero(np.append(True, group[1:] != group[:-1])))
        size = np.bincount(group)
        named = texts(plain(whole.column("call_id"))).is_valid().to_numpy(zero_copy_only=False)
        first_of = order[np.searchsorted(group, np.arange(len(size)))]
        done = (last < self._rows + 1 - GAP) | (size == MOST_ROWS) | ~named[first_of] | final
        if not done.all():
            # What is done waits for calls that may end before it, so that all come out by their last rows.
            done &= last < last[~done].min()
        # Calls in the order of their last rows, their rows in the order of the input.
        place = np.empty(len(size), np.int64)
        place[np.argsort(last, kind="stable")] = np.arange(len(size))
        out = done[group]
        chosen, number = order[out], place[group[out]]
        by = np.lexsort((row[chosen], number))
        chosen, number = chosen[by], number[by]
        if not done.all():
            kept = np.sort(order[~out])
            self._held = whole.take(pa.array(kept))
        in_order = len(chosen) == len(whole) and bool((chosen == np.arange(len(whole))).all())
        answered = whole if in_order else whole.take(pa.array(chosen))
        yield answered.append_column(CALL, pa.array(number))


def _groups(batch: pa.RecordBatch, row: Ints) -> tuple[Ints, Ints]:
    """Rows sorted by call and place (n,), and the call's number of each, ascending."""
    encoded = texts(plain(batch.column("call_id"))).dictionary_encode()
    code = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.lexsort((row, code))
    c, r = code[order], row[order]
    new = np.append(True, (c[1:] != c[:-1]) | (r[1:] - r[:-1] > GAP) | (c[1:] < 0))
    run = np.cumsum(new) - 1
    at = np.arange(len(r))
    nth = at - np.flatnonzero(new)[run]
    new |= nth % MOST_ROWS == 0
    return order, np.cumsum(new) - 1

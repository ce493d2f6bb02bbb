"""Calls of several rows out of a stream: the order of their last rows, however the stream is cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from locsvc.tables.form import CALL, ROW
from locsvc.tables.grouping import GAP, MOST_ROWS, Grouper


def came_out(names: list[str | None], cut: int) -> list[list[int]]:
    """Rows of each call, from 1, in the order of the calls."""
    grouper, batches = Grouper(), []
    table = pa.table({"call_id": pa.array(names, pa.string())})
    for batch in table.to_batches(max_chunksize=cut):
        batches += list(grouper.add(batch))
    batches += list(grouper.end())
    calls: list[list[int]] = []
    for batch in batches:
        number, row = batch.column(CALL).to_numpy(), batch.column(ROW).to_numpy()
        calls += [row[number == n].tolist() for n in dict.fromkeys(number.tolist())]
    return calls


@pytest.mark.parametrize("cut", [1, 7, 64, 10_000])
def test_calls_come_out_by_their_last_rows(cut: int, rng: np.random.Generator) -> None:
    names: list[str | None] = [None if k < 3 else f"c{k % 17}" for k in rng.integers(0, 40, 1_500).tolist()]
    calls = came_out(names, cut)
    last = [rows[-1] for rows in calls]
    assert last == sorted(last)
    assert sorted(r for rows in calls for r in rows) == list(range(1, len(names) + 1))
    assert all(len({names[r - 1] for r in rows}) == 1 and len(rows) <= MOST_ROWS for rows in calls)
    assert calls == came_out(names, 499)


def test_a_call_without_a_name_waits_for_one_that_ends_before_it() -> None:
    names = ["a", "a", None, *("b" for _ in range(5)), None]
    assert came_out(names, 2) == [[1, 2], [3], [4, 5, 6, 7, 8], [9]]


def test_a_gap_ends_a_call() -> None:
    names: list[str | None] = ["a", *([None] * (GAP - 1)), "a", *([None] * (GAP + 5)), "a"]
    calls = came_out(names, 1_000)
    assert [1, GAP + 1] in calls
    assert [len(names)] in calls

"""What kernels are made with."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from locsvc.compiled import compiled, lent

Floats = npt.NDArray[np.float64]


class _Inner(NamedTuple):
    rows: Floats
    number: float


class _Outer(NamedTuple):
    inner: _Inner
    column: Floats


def _add_one(outer: _Outer, pair: tuple[Floats, Floats]) -> float:
    outer, pair = lent(outer), lent(pair)
    total = outer.inner.number
    for i in range(len(outer.column)):
        outer.column[i] += 1.0
        outer.inner.rows[0, i] = outer.column[i]
        total += pair[0][i] + pair[1][i]
    return total


def test_lent_arrays_are_the_same_ones_and_stay_their_owners() -> None:
    kernel = compiled(_add_one)
    rows, column = np.zeros((2, 3)), np.arange(3.0)
    before = sys.getrefcount(rows), sys.getrefcount(column)
    for _ in range(3):
        total = kernel(_Outer(_Inner(rows, 0.5), column), (column, rows[1]))
    assert column.tolist() == [3.0, 4.0, 5.0]
    assert rows.tolist() == [[3.0, 4.0, 5.0], [0.0, 0.0, 0.0]]
    assert total == 12.5
    assert (sys.getrefcount(rows), sys.getrefcount(column)) == before

"""What kernels are made with."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import intrinsic

from locsvc.compiled import compiled, lent

Floats = npt.NDArray[np.float64]


def _owner(_context: Any, array: Any) -> Any:  # noqa: ANN401 - numba's own types
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        struct = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.ptrtoint(struct.meminfo, context.get_value_type(numba.types.uintp))

    return numba.types.uintp(array), generate


# Where what counts an array's references is; 0: they are not counted.
owner_of = cast("Any", intrinsic(_owner))


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


def _owners(outer: _Outer, array: Floats) -> tuple[int, int, int, int]:
    free, pair = lent(outer), lent((array, array))
    return owner_of(array), owner_of(free.inner.rows), owner_of(free.column), owner_of(pair[1])


def test_references_of_lent_arrays_are_not_counted() -> None:
    array = np.zeros(3)
    counted, *free = compiled(_owners)(_Outer(_Inner(np.zeros((2, 3)), 0.5), array), array)
    assert counted != 0
    assert free == [0, 0, 0]

"""Sums, means and weighted ranks of groups of rows that stand together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def firsts(*keys: npt.NDArray[np.generic]) -> Ints:
    """Row numbers at which a key differs from the row before, the first row's too, (g,) int64.

    >>> firsts(np.array([3, 3, 4]), np.array([1, 2, 2])).tolist()
    [0, 1, 2]
    """
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    new = np.ones(len(keys[0]), bool)
    new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.flatnonzero(new)


def numbers(first: Ints, rows: int) -> Ints:
    """Number of the group of each row, (rows,) int64.

    >>> numbers(np.array([0, 2]), 3).tolist()
    [0, 0, 1]
    """
    result: Ints = np.repeat(np.arange(len(first)), np.diff(first, append=rows))
    return result


def ratio(total: Floats, of: Floats) -> Floats:
    """What `total` is of `of`, NaN where `of` is 0."""
    return np.where(of > 0, total / np.where(of > 0, of, 1.0), np.nan)


def deviation(squares: Floats, total: Floats, of: Floats) -> Floats:
    """Standard deviation of weighted values from the sums of weights, values and squares, NaN without weight.

    >>> deviation(np.array([20.0]), np.array([8.0]), np.array([4.0])).tolist()
    [1.0]
    """
    mean = ratio(total, of)
    result: Floats = np.sqrt(np.maximum(ratio(squares, of) - mean * mean, 0.0))
    return result


def ranked(group: Ints, value: Floats, weight: Floats, share: float) -> Floats:
    """The value of each group at which its weight, in the order of values, reaches a share; (g,) float64.

    Parameters
    ----------
    group
        (n,) int64, ascending from 0, none left out.
    value, weight
        (n,) float64; weights above 0.

    >>> ranked(np.array([0, 0, 0, 1]), np.array([5.0, 1.0, 2.0, 7.0]), np.ones(4), 0.5).tolist()
    [2.0, 7.0]
    """
    order = np.lexsort((value, group))
    start = firsts(group)
    held = np.cumsum(weight[order])
    before = held[start] - weight[order][start]
    ends = np.append(start[1:], len(group)) - 1
    total = held[ends] - before
    # A hair less, so that rounding does not ask for more than there is.
    reached = held - before[group] >= share * total[group] * (1 - 1e-9)
    reached[ends] = True
    at = np.flatnonzero(reached)
    result: Floats = value[order][at[firsts(group[at])]]
    return result

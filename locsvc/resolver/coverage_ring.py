"""Shares for the bins beside: what was heard in one bin of some metres would mostly have been heard in the next.

H3's parents alone do not tell that: two bins side by side may have no near ancestor in common, and half of a parent's
children lie further from a bin than bins of other parents do. So neighbours are found by the arithmetic of the lattice,
never beyond the region within which bins are of one resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.fusion.lattice import APERTURE, DIGIT_DEG, FINEST, ODD_TURN_DEG
from locsvc.fusion.sorting import sort_keys
from locsvc.reference.coverage.tallies import REGION
from locsvc.resolver.coverage_mass import BASE_SHIFT, DIGITS, PENTAGONS, RESOLUTION_SHIFT

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

# Bins that hold less of everything keep to themselves.
LEAST_SHARE = 1e-3
# No more bins hold that much; their neighbours' numbers take so many bits.
MOST_GIVING = int(1 / LEAST_SHARE)
_NUMBER_BITS = (6 * MOST_GIVING).bit_length()
# Bits of the finest digit, which no bin uses: room for the number in a word.
_DIGIT_BITS = 3


def _steps() -> Ints:
    """Digit, and step of the parent, when a step is made from a digit: (odd resolution, digit, step, 2)."""
    table = np.zeros((2, 7, 7, 2), np.int64)
    for odd in (0, 1):
        one = np.exp(1j * np.radians(DIGIT_DEG + ODD_TURN_DEG * odd)) * (np.arange(7) > 0)
        wide = APERTURE * np.exp(1j * np.radians(DIGIT_DEG + ODD_TURN_DEG * (1 - odd))) * (np.arange(7) > 0)
        for digit in range(7):
            for step in range(7):
                off = np.abs(one[digit] + one[step] - wide[:, None] - one)
                table[odd, digit, step] = np.unravel_index(off.argmin(), off.shape)[::-1]
    return table


_STEPS = _steps()
_IS_PENTAGON = np.isin(np.arange(128), PENTAGONS)


@inlined
def neighbour(cell: int, step: int) -> int:
    """The H3 cell one step (1 to 6) beside another; -1 if it is in another region, or the base cell is a pentagon."""
    resolution = (cell >> RESOLUTION_SHIFT) & 15
    if _IS_PENTAGON[(cell >> BASE_SHIFT) & 127]:
        return -1
    while resolution > REGION:
        shift = 3 * (FINEST - resolution)
        digit = (cell >> shift) & 7
        odd = resolution & 1
        cell = (cell & ~(7 << shift)) | (_STEPS[odd, digit, step, 0] << shift)
        step = _STEPS[odd, digit, step, 1]
        if step == 0:
            return cell
        resolution -= 1
    return -1


@inlined
def _row_of(cell: int, key: Ints) -> int:
    """Where a cell stands among those in the order of their digits; -1 if it is not there."""
    low, high, wanted = 0, len(key), cell & DIGITS
    while low < high:
        middle = (low + high) >> 1
        if key[middle] & DIGITS < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(key) and key[low] == cell else -1


class _Beside(NamedTuple):
    """Cells that are no rows and what they were given, and the order of their digits: digits, then their number."""

    cell: Ints
    given: Floats
    order: Cells


@compiled
def put_rings(key: Ints, count: Floats, share: float, cells: Ints, held: Floats) -> int:
    """Writes cells, in the order of their digits, and what they hold when rows give a share to the six beside them.

    Parameters
    ----------
    key, count
        (rows,) H3 cells in the order of their digits, and what each counts.
    share
        What a row gives; a sixth of it stays where there is no neighbour, all of it where the row counts little.
    cells, held
        Room for all: six more for each of at most MOST_GIVING rows.

    Returns
    -------
    int
        How many cells there are.
    """
    most = 6 * min(len(key), MOST_GIVING)
    own = count.copy()
    beside = _Beside(np.empty(most, np.int64), np.empty(most), np.empty(most, np.uint64))
    m = _give(key, count, share / 6.0, own, beside) if share > 0.0 else 0
    sort_keys(beside.order, m)
    i, n = 0, -1
    for k in range(m):
        j = np.int64(beside.order[k] & np.uint64((1 << _NUMBER_BITS) - 1))
        cell = beside.cell[j]
        while i < len(key) and (key[i] & DIGITS) < (cell & DIGITS):
            n += 1
            cells[n], held[n] = key[i], own[i]
            i += 1
        if n < 0 or cells[n] != cell:
            n += 1
            cells[n], held[n] = cell, 0.0
        held[n] += beside.given[j]
    for r in range(i, len(key)):
        n += 1
        cells[n], held[n] = key[r], own[r]
    return n + 1


@inlined
def _give(key: Ints, count: Floats, part: float, own: Floats, beside: _Beside) -> int:
    """Moves a part of each row's count to each of the six beside it; how many cells that are no rows were given any."""
    least, m = LEAST_SHARE * count.sum(), 0
    for i in range(len(key)):
        if count[i] <= least:
            continue
        for step in range(1, 7):
            cell = neighbour(key[i], step)
            if cell < 0:
                continue
            own[i] -= count[i] * part
            at = _row_of(cell, key)
            if at >= 0:
                own[at] += count[i] * part
                continue
            beside.cell[m], beside.given[m] = cell, count[i] * part
            beside.order[m] = np.uint64(((cell & DIGITS) >> _DIGIT_BITS << _NUMBER_BITS) | m)
            m += 1
    return m

"""Shares for the bins beside: what was heard in one bin of some metres would mostly have been heard in the next.

H3's parents alone do not tell that: two bins side by side may have no near ancestor in common, and half of a parent's
children lie further from a bin than bins of other parents do. So neighbours are found by the arithmetic of the lattice,
never beyond the region within which bins are of one resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.fusion.lattice import APERTURE, DIGIT_DEG, FINEST, ODD_TURN_DEG
from locsvc.fusion.sorting import sort_digits
from locsvc.reference.coverage.tallies import REGION
from locsvc.resolver.coverage_mass import BASE_SHIFT, DIGITS, PENTAGONS, RESOLUTION_SHIFT

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.int32]
    Cells = npt.NDArray[np.uint64]

# Bins that hold less of everything keep to themselves.
LEAST_SHARE = 1e-3
# No more bins hold that much; their neighbours' numbers take so many bits.
MOST_GIVING = int(1 / LEAST_SHARE)
_NUMBER_BITS = (6 * MOST_GIVING).bit_length()
# With that a bin holds as much as each of the six beside it.
EVEN_SHARE = 6.0 / 7.0
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
# Multiplied by this, numbers that lie close together lie far apart (Knuth: 2^64 over the golden ratio).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
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
def _slot_of(cell: int, known: Ints, slot: Words) -> int:
    """Where a cell stands in a table of numbers of `known` cells, -1 where free: there, or where it would."""
    at = (np.uint64(cell) * _SPREAD) >> np.uint64(32)
    mask = np.uint64(len(slot) - 1)
    at &= mask
    while slot[at] >= 0 and known[slot[at]] != cell:
        at = (at + np.uint64(1)) & mask
    return np.int64(at)  # type: ignore[return-value]  # the same to the interpreter


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
    n, least = len(key), LEAST_SHARE * count.sum()
    giving = 0
    for r in range(n):
        giving += count[r] > least
    most = n + 6 * giving
    # Rows, then what stands beside them, numbered as they come; twice as many slots at the least.
    size = 64
    while size < 2 * most:
        size *= 2
    slot, known, given = np.full(size, -1, np.int32), np.empty(most, np.int64), np.empty(most)
    for r in range(n):
        known[r], given[r] = key[r], count[r]
        slot[_slot_of(key[r], known, slot)] = r
    m = n
    for r in range(n if share > 0.0 else 0):
        if count[r] <= least:
            continue
        part = count[r] * (share / 6.0)
        for step in range(1, 7):
            cell = neighbour(key[r], step)
            if cell < 0:
                continue
            given[r] -= part
            at = _slot_of(cell, known, slot)
            if slot[at] < 0:
                slot[at], known[m], given[m] = m, cell, 0.0
                m += 1
            given[slot[at]] += part
    order = np.empty(m - n, np.uint64)
    for k in range(n, m):
        order[k - n] = np.uint64(((known[k] & DIGITS) >> _DIGIT_BITS << _NUMBER_BITS) | (k - n))
    sort_digits(order, m - n, _NUMBER_BITS)
    return _merge(n, order, known, given, cells, held)


@inlined
def _merge(rows: int, order: Cells, known: Ints, given: Floats, cells: Ints, held: Floats) -> int:
    """Writes rows and what stands beside them, `order`, in the order of their digits; how many."""
    i, n = 0, 0
    for k in range(len(order)):
        j = rows + np.int64(order[k] & np.uint64((1 << _NUMBER_BITS) - 1))
        while i < rows and (known[i] & DIGITS) < (known[j] & DIGITS):
            cells[n], held[n] = known[i], given[i]
            n, i = n + 1, i + 1
        cells[n], held[n] = known[j], given[j]
        n += 1
    while i < rows:
        cells[n], held[n] = known[i], given[i]
        n, i = n + 1, i + 1
    return n

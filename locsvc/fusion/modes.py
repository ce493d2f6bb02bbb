"""Modes: the separate places where the caller may be.

Most posteriors are one blob, which a look at their inertia tells; only the others are taken apart into peaks and what
belongs to each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled, inlined

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bytes = npt.NDArray[np.uint8]
    Cells = npt.NDArray[np.uint64]

# Area of a set over the area of the full ellipse with its inertia (by mass): above 1 for anything with a middle that
# is heavier than its rim, near 0 for separate places. A band around a mast gives 0.5 and is looked at.
ONE_BLOB = 0.85
# Cells touch when their centres are nearer than this many times the sum of the radii of equal discs: neighbours of one
# size are at 1.9 radii, and one size apart at 1.8 of the sum.
TOUCH = 1.2
# Two peaks are two places when the lower stands this many times above the ground between them.
VALLEY = 8.0
# Lighter modes are not worth a line on a call taker's screen.
LEAST_MASS = 0.01
MOST_CELLS = 1200
# Leaves that are compared at once.
_WHOLE = 64


@compiled
def is_scattered(mass: Floats, area_m2: Floats, east_m: Floats, north_m: Floats, count: int) -> bool:
    """Whether the first `count` leaves of a call may be more than one blob."""
    total = me = mn = area = 0.0
    for i in range(count):
        total += mass[i]
        me += mass[i] * east_m[i]
        mn += mass[i] * north_m[i]
        area += area_m2[i]
    me, mn = me / total, mn / total
    ee = en = nn = 0.0
    for i in range(count):
        de, dn = east_m[i] - me, north_m[i] - mn
        ee += mass[i] * de * de
        en += mass[i] * de * dn
        nn += mass[i] * dn * dn
    full = 4.0 * math.pi * math.sqrt(max(ee * nn - en * en, 0.0)) / total
    return area < ONE_BLOB * full


@inlined
def _peak_of(root: Ints, cell: int) -> int:
    while root[cell] != cell:
        root[cell] = root[root[cell]]
        cell = root[cell]
    return cell


@inlined
def _put_hits(touches: Bytes, eight: Cells, blocks: int, block: Cells, hit: Cells) -> int:
    """Writes the numbers of the leaves that touch, `touches` by leaf and `eight` of them in a word; how many."""
    taken = hits = 0
    for b in range(blocks):
        block[taken] = b
        taken += eight[b] != np.uint64(0)
    for k in range(taken):
        first = block[k] << np.uint64(3)
        for i in range(8):
            hit[hits] = first + np.uint64(i)
            hits += touches[first + np.uint64(i)]
    return hits


@compiled
def _peaks(mass: Floats, area_m2: Floats, east_m: Floats, north_m: Floats, count: int) -> Ints:
    """The densest leaf of the peak that each of the first `count` leaves belongs to, (count,).

    Leaves come densest first and are flooded from the densest down; one joins the highest peak that it touches. Where
    peaks meet they are one, unless the lower of them stands VALLEY times above the ground between them: wide ground
    that lies between two places must not make them one.
    """
    root, near = np.arange(count), np.empty(count, np.int64)
    # In single precision, many at a time: neighbours are a third nearer than what just does not touch.
    reach = (np.sqrt(area_m2[:count] / math.pi) * TOUCH).astype(np.float32)
    # Leaves flooded so far, in whole vectors; what is not yet is far away.
    whole = (count + (_WHOLE - 1)) // _WHOLE * _WHOLE
    east, north = np.full(whole, np.float32(np.inf)), np.full(whole, np.float32(np.inf))
    wide, touches = np.zeros(whole, np.float32), np.zeros(whole, np.uint8)
    eight, block, hit = touches.view(np.uint64), np.empty(whole // 8, np.uint64), np.empty(whole + 1, np.uint64)
    for cell in range(1, count):
        east[cell - 1], north[cell - 1], wide[cell - 1] = east_m[cell - 1], north_m[cell - 1], reach[cell - 1]
        here_e, here_n, own = np.float32(east_m[cell]), np.float32(north_m[cell]), reach[cell]
        # Whether each of them touches the one in hand, and which do: loops without branches.
        for other in range((cell + (_WHOLE - 1)) // _WHOLE * _WHOLE):
            de, dn, both = here_e - east[other], here_n - north[other], own + wide[other]
            touches[other] = de * de + dn * dn <= both * both
        hits = _put_hits(touches, eight, (cell + 7) // 8, block, hit)
        highest, found = -1, 0
        for k in range(hits):
            peak = root[hit[k]]
            peak = peak if root[peak] == peak else _peak_of(root, peak)
            # Peaks are named by their densest leaf, so the least number is the highest.
            if found == 0 or near[found - 1] != peak:
                near[found] = peak
                highest = peak if highest < 0 else min(highest, peak)
                found += 1
        ground = mass[cell] / area_m2[cell]
        for k in range(found):
            lower = _peak_of(root, near[k])
            if lower != highest and mass[lower] / area_m2[lower] < VALLEY * ground:
                root[lower] = highest
        if found > 0:
            root[cell] = highest
    for cell in range(count):
        root[cell] = _peak_of(root, cell)
    return root


@compiled
def put_modes(
    mass: Floats, area_m2: Floats, east_m: Floats, north_m: Floats, region: int, near: int, of_leaf: Ints
) -> int:
    """Writes the number of each leaf's mode to `of_leaf`; how many modes there are.

    Parameters
    ----------
    mass, area_m2, east_m, north_m
        (n,) of the leaves of one call, densest first.
    region, near
        Number of leaves of the region, and of it with some more around it.
    of_leaf
        (n,) int64, out: 0 dominant, 1, 2, ... by falling mass, -1 in none.
    """
    for i in range(len(of_leaf)):
        of_leaf[i] = 0 if i < near else -1
    # Wide ground around them may hide two places from the second look, never from the first.
    if not (is_scattered(mass, area_m2, east_m, north_m, region) or is_scattered(mass, area_m2, east_m, north_m, near)):
        return 1
    count = min(near, MOST_CELLS)
    peak = _peaks(mass, area_m2, east_m, north_m, count)
    whole, inside = np.zeros(count), np.zeros(count)
    for i in range(count):
        whole[peak[i]] += mass[i]
        if i < region:
            inside[peak[i]] += mass[i]
    # The dominant one is the heaviest within the region: a wide one may have no cell there.
    first = np.argmax(inside)
    number = np.full(count, -1)
    number[first] = 0
    found = 1
    while True:
        heaviest = -1
        for k in range(count):
            if number[k] < 0 and whole[k] >= LEAST_MASS and (heaviest < 0 or whole[k] > whole[heaviest]):
                heaviest = k
        if heaviest < 0:
            break
        number[heaviest] = found
        found += 1
    for i in range(near):
        of_leaf[i] = number[peak[i]] if i < count else -1
    return found

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


@compiled
def _peaks(mass: Floats, area_m2: Floats, east_m: Floats, north_m: Floats, count: int) -> Ints:
    """The densest leaf of the peak that each of the first `count` leaves belongs to, (count,).

    Leaves come densest first and are flooded from the densest down; one joins the highest peak that it touches. Where
    peaks meet they are one, unless the lower of them stands VALLEY times above the ground between them: wide ground
    that lies between two places must not make them one.
    """
    root, near = np.arange(count), np.empty(count, np.int64)
    # In single precision, twice as many at a time: neighbours are a third nearer than what just does not touch.
    reach = (np.sqrt(area_m2[:count] / math.pi) * TOUCH).astype(np.float32)
    east, north = east_m[:count].astype(np.float32), north_m[:count].astype(np.float32)
    # Whether each leaf so far touches the one in hand: a loop without branches, whose result is read eight at a time.
    touches = np.zeros((count + 7) // 8 * 8, np.uint8)
    eight = touches.view(np.uint64)
    for cell in range(1, count):
        here_e, here_n, own = east[cell], north[cell], reach[cell]
        for other in range(cell):
            de, dn, both = here_e - east[other], here_n - north[other], own + reach[other]
            touches[other] = de * de + dn * dn <= both * both
        highest, found = -1, 0
        for block in range((cell + 7) // 8):
            if eight[block] == 0:
                continue
            for other in range(8 * block, min(8 * block + 8, cell)):
                if touches[other]:
                    # Peaks are named by their densest leaf, so the least number is the highest.
                    near[found] = _peak_of(root, other)
                    highest = near[found] if highest < 0 else min(highest, near[found])
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

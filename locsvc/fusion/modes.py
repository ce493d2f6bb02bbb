"""Modes: the separate places where the caller may be.

Most posteriors are one blob, which a look at their inertia tells for the whole batch at once; only the others are
taken apart, call by call, into peaks and what belongs to each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.leaves import Leaves

    Bools = npt.NDArray[np.bool_]
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


@dataclass(slots=True)
class Modes:
    """Modes of all calls. `of_leaf` (leaves,) int64: 0 dominant, 1, 2, ... by falling mass, -1 in none.

    `call`, `number`, `mass`: one row for each mode but the dominant one.
    """

    of_leaf: Ints
    call: Ints
    number: Ints
    mass: Floats


def find_modes(leaves: Leaves, in_region: Bools, near: Bools, east_m: Floats, north_m: Floats) -> Modes:
    """Modes among the leaves that are `near` the answer.

    Parameters
    ----------
    leaves
        Of all calls.
    in_region, near
        (leaves,) bool: the densest leaves of each call, and those with some more around them.
    east_m, north_m
        (leaves,) float64, from any place near the call.
    """
    of_leaf = np.where(near, 0, -1)
    rows: list[tuple[int, int, float]] = []
    # Wide ground around them may hide two places from the second look, never from the first.
    scattered = _scattered(leaves, in_region, east_m, north_m) | _scattered(leaves, near, east_m, north_m)
    for call in np.nonzero(scattered)[0].tolist():
        start, end = int(leaves.starts[call]), int(leaves.ends()[call])
        mine = np.nonzero(near[start:end])[0][:MOST_CELLS] + start
        density = leaves.mass[mine] / leaves.area_m2[mine]
        label = _peaks(east_m[mine], north_m[mine], leaves.area_m2[mine], density)
        mass = np.bincount(label, weights=leaves.mass[mine])
        # The dominant one is the heaviest within the region: a wide one may have no cell there.
        inside = np.bincount(label, weights=np.where(in_region[mine], leaves.mass[mine], 0.0), minlength=len(mass))
        first = int(np.argmax(inside))
        order = np.argsort(np.where(np.arange(len(mass)) == first, -2.0, -mass), kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        of_leaf[mine] = np.where((mass[label] >= LEAST_MASS) | (label == first), rank[label], -1)
        rows += [(call, k, float(mass[order[k]])) for k in range(1, len(order)) if mass[order[k]] >= LEAST_MASS]
    call_, number, mass_ = (list(c) for c in zip(*rows, strict=True)) if rows else ([], [], [])
    return Modes(of_leaf, np.array(call_, np.int64), np.array(number, np.int64), np.array(mass_, np.float64))


def _scattered(leaves: Leaves, near: Bools, east: Floats, north: Floats) -> Bools:
    """Calls whose leaves may be more than one blob."""
    weight = np.where(near, leaves.mass, 0.0)
    total = np.add.reduceat(weight, leaves.starts)
    me = np.add.reduceat(weight * east, leaves.starts) / total
    mn = np.add.reduceat(weight * north, leaves.starts) / total
    de, dn = east - me[leaves.call], north - mn[leaves.call]
    ee = np.add.reduceat(weight * de * de, leaves.starts) / total
    en = np.add.reduceat(weight * de * dn, leaves.starts) / total
    nn = np.add.reduceat(weight * dn * dn, leaves.starts) / total
    area = np.add.reduceat(np.where(near, leaves.area_m2, 0.0), leaves.starts)
    full = 4 * math.pi * np.sqrt(np.maximum(ee * nn - en * en, 0.0))
    result: Bools = area < ONE_BLOB * full
    return result


def _peaks(east: Floats, north: Floats, area_m2: Floats, density: Floats) -> Ints:
    """Number of the peak that each cell belongs to, (n,) int64, from 0.

    Parameters
    ----------
    east, north, area_m2
        (n,) float64, of the cells.
    density
        (n,) float64, falling.

    Notes
    -----
    Cells are flooded from the densest down; a cell joins the peak that it touches. Where two peaks meet they are one,
    unless the lower of them stands VALLEY times above the ground between them: wide ground that lies between two
    places must not make them one.
    """
    radius = np.sqrt(area_m2 / math.pi)
    reach = (radius[:, None] + radius[None, :]) * TOUCH
    near = (east[:, None] - east[None, :]) ** 2 + (north[:, None] - north[None, :]) ** 2 <= reach**2
    root = list(range(len(east)))
    heights = density.tolist()

    def peak_of(cell: int) -> int:
        while root[cell] != cell:
            root[cell] = root[root[cell]]
            cell = root[cell]
        return cell

    for cell in range(1, len(east)):
        touched = sorted({peak_of(k) for k in np.flatnonzero(near[cell, :cell]).tolist()})
        if not touched:
            continue
        # Peaks are named by their densest cell, so the least number is the highest.
        root[cell] = touched[0]
        for lower in touched[1:]:
            if heights[lower] < VALLEY * heights[cell]:
                root[lower] = touched[0]
    _, number = np.unique([peak_of(k) for k in range(len(east))], return_inverse=True)
    result: Ints = number.astype(np.int64)
    return result

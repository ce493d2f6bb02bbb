"""Where located history has a phone that is served by a cell at a level, quality and delay: masses of H3 cells.

What counts for a bin is how often it was visited, times how well the measurement fits what was measured there:

    c_b = visits_b ** g * (f + (1 - f) * t(level | b) * t(quality | b) * t(advance | b))

with Student kernels that are 1 at the bin's own mean. A bin's count is shared with the six bins beside it
(`coverage_ring.py`), then with its parent and grandparent (`parent_share`, `grandparent_share`): next to a road that
was driven there are others. See docs/algorithm.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.reference.coverage.files import (
    R_ADVANCE,
    R_ADVANCE_SD,
    R_LEVEL,
    R_LEVEL_SD,
    R_QUALITY,
    R_QUALITY_SD,
    R_VISITS,
)
from locsvc.reference.coverage.tallies import REGION

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Singles = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.int32]

RESOLUTION_SHIFT = 52
_RESOLUTION_MASK = 15 << RESOLUTION_SHIFT
# What tells the order of cells of several resolutions.
DIGITS = (1 << RESOLUTION_SHIFT) - 1
_FINEST = 15
# Visits are faded numbers: what is below was visited once.
_TWICE = 1.5
# Base cells that are pentagons: their chains of centre children have no child of digit 1.
PENTAGONS = (4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117)
BASE_SHIFT = 45


class _Run(NamedTuple):
    """Bins of a cell, by their digits; what each counts, and all together; the resolution of those at hand."""

    key: Ints
    counts: Floats
    total: float
    resolution: int


class Fit(NamedTuple):
    """How well measurements must fit, see [coverage_cell] of the calibration."""

    visits_exponent: float
    level_sd_db: float
    level_freedom: float
    quality_sd_db: float
    quality_freedom: float
    advance_sd_steps: float
    advance_freedom: float
    pooled_visits: float
    unmeasured_cost: float
    floor_share: float
    ring_share: float
    parent_share: float
    grandparent_share: float
    split_parent_share: float
    split_grandparent_share: float


def fit_of(p: Parameters) -> Fit:
    """The numbers of the calibration that kernels need."""
    return Fit(*(p.coverage_cell[name] for name in Fit._fields))


@inlined
def _log_fit(x: float, mean: float, deviation: float, visits: float, sd: float, freedom: float, fit: Fit) -> float:
    """Logarithm of how well a value fits a bin's, 0 at best.

    The bin's own deviation is trusted as far as its visits go, its mean likewise.
    """
    pooled = fit.pooled_visits
    variance = (pooled * sd * sd + visits * deviation * deviation) / (pooled + visits) * (1.0 + 1.0 / visits)
    off = x - mean
    return -0.5 * (freedom + 1.0) * math.log1p(off * off / (variance * freedom)) - 0.5 * math.log(variance / (sd * sd))


@inlined
def _weighed(
    measured: float, known: int, mean: float, spread: float, visits: float, sd: float, freedom: float, fit: Fit
) -> float:
    """Log of how well one measurement fits a row; 0 where it was not made or is not `known` to history."""
    if math.isnan(measured) or not known:
        return 0.0
    if math.isnan(mean):
        return -fit.unmeasured_cost
    return _log_fit(measured, mean, spread, visits, sd, freedom, fit)


@inlined
def _count(row: Singles, level_dbm: float, quality_db: float, advance: float, measures: int, fit: Fit) -> float:
    """What a row of the coverage counts for a measurement.

    `measures` holds a bit for each of level, quality and advance that the cell's history has at all.
    """
    visits = max(float(row[R_VISITS]), 1e-3)
    total = _weighed(
        level_dbm, measures & 1, row[R_LEVEL], row[R_LEVEL_SD], visits, fit.level_sd_db, fit.level_freedom, fit
    )
    total += _weighed(
        quality_db, measures & 2, row[R_QUALITY], row[R_QUALITY_SD], visits, fit.quality_sd_db, fit.quality_freedom, fit
    )
    total += _weighed(
        advance, measures & 4, row[R_ADVANCE], row[R_ADVANCE_SD], visits, fit.advance_sd_steps, fit.advance_freedom, fit
    )
    return float(visits**fit.visits_exponent * (fit.floor_share + (1.0 - fit.floor_share) * math.exp(total)))


@inlined
def _measures(stats: Singles) -> tuple[int, float]:
    """Which of level (1), quality (2) and advance (4) rows have, and their highest timing advance (-1: none)."""
    measures, farthest = 0, -1.0
    for r in range(len(stats)):
        if not math.isnan(stats[r, R_LEVEL]):
            measures |= 1
        if not math.isnan(stats[r, R_QUALITY]):
            measures |= 2
        if not math.isnan(stats[r, R_ADVANCE]):
            measures |= 4
            farthest = max(farthest, float(stats[r, R_ADVANCE]))
    return measures, farthest


@compiled
def put_counts(
    stats: Singles, level_dbm: float, quality_db: float, advance: float, fit: Fit, count: Floats
) -> tuple[float, float, float, float]:
    """Writes what each row of a cell counts; what all count, visits, visits of bins with one, highest timing advance.

    Parameters
    ----------
    stats
        (rows, ROW_WIDTH) float32, the coverage's `row_stats` of the cell.
    level_dbm, quality_db, advance
        As measured; NaN where not.
    count
        (rows,) float64, written to.
    """
    measures, farthest = _measures(stats)
    total, visits, once = 0.0, 0.0, 0.0
    for r in range(len(stats)):
        count[r] = _count(stats[r], level_dbm, quality_db, advance, measures, fit)
        total += count[r]
        visits += stats[r, R_VISITS]
        if stats[r, R_VISITS] < _TWICE:
            once += stats[r, R_VISITS]
    return total, visits, once, farthest


@inlined
def _parent(cell: int, resolution: int) -> int:
    """The H3 cell of a resolution that a finer one is in."""
    unused = (1 << (3 * (_FINEST - resolution))) - 1
    return (cell & ~_RESOLUTION_MASK) | (resolution << RESOLUTION_SHIFT) | unused


@inlined
def _child(parent: int, digit: int, resolution: int) -> int:
    """The child of a digit, of resolution `resolution`."""
    shift = 3 * (_FINEST - resolution)
    return (parent & ~_RESOLUTION_MASK & ~(7 << shift)) | (resolution << RESOLUTION_SHIFT) | (digit << shift)


@inlined
def _has_child(parent: int, digit: int, resolution: int) -> bool:
    """Whether the parent has a child of that digit: pentagons have none of digit 1."""
    if digit != 1:
        return True
    centre = (parent & ((1 << BASE_SHIFT) - 1)) >> (3 * (_FINEST - resolution + 1)) == 0
    return not (centre and ((parent >> BASE_SHIFT) & 127) in PENTAGONS)


@compiled
def put_masses(key: Ints, count: Floats, total: float, fit: Fit, bins: Ints, mass: Floats) -> int:
    """Writes H3 cells and their masses, in the order of the cells' digits; how many, -1 if there is no room.

    Parameters
    ----------
    key, count
        (rows,) H3 cells in the order of their digits, none within another, and what each counts. Where they are of
        several resolutions, those of one region of the coverage are of one.
    total
        Sum of the counts.
    bins, mass
        Room.
    """
    shared = 1.0 + fit.parent_share + fit.grandparent_share
    n, i = 0, 0
    while i < len(key):
        run = _Run(key, count, total, (key[i] >> RESOLUTION_SHIFT) & 15)
        if n > len(bins) - 49:
            return -1
        if run.resolution < REGION + 2:
            # Its grandparent would reach beyond the region, within which all bins of a cell are of one resolution.
            bins[n], mass[n] = key[i], count[i] / total
            n, i = n + 1, i + 1
            continue
        outer = _parent(key[i], run.resolution - 2)
        end, held = i, 0.0
        while end < len(key) and _parent(key[end], run.resolution - 2) == outer:
            held += count[end]
            end += 1
        if held < fit.split_grandparent_share * total:
            bins[n], mass[n] = outer, held / total
            n += 1
        else:
            n += _put_parents(run, i, end, outer, held, shared, fit, bins[n:], mass[n:])
        i = end
    return n


@inlined
def _put_parents(
    run: _Run, first: int, last: int, outer: int, held: float, shared: float, fit: Fit, bins: Ints, mass: Floats
) -> int:
    """Writes the children of a grandparent, split where they hold much; how many."""
    wide = fit.grandparent_share * held / 7.0
    scale = 1.0 / (run.total * shared)
    n, i = 0, first
    for digit in range(7):
        if not _has_child(outer, digit, run.resolution - 1):
            continue
        inner = _child(outer, digit, run.resolution - 1)
        here, end = 0.0, i
        while end < last and _parent(run.key[end], run.resolution - 1) == inner:
            here += run.counts[end]
            end += 1
        if here < fit.split_parent_share * run.total or here == 0.0:
            bins[n], mass[n] = inner, (here * (1.0 + fit.parent_share) + wide) * scale
            n += 1
        else:
            around = (fit.parent_share * here + wide) / 7.0
            n += _put_bins(run, i, end, inner, around, scale, bins[n:], mass[n:])
        i = end
    return n


@inlined
def _put_bins(
    run: _Run, first: int, last: int, inner: int, around: float, scale: float, bins: Ints, mass: Floats
) -> int:
    """Writes the children of a parent, those that were never visited too; how many."""
    n, i = 0, first
    for digit in range(7):
        if not _has_child(inner, digit, run.resolution):
            continue
        cell = _child(inner, digit, run.resolution)
        own = 0.0
        if i < last and run.key[i] == cell:
            own = run.counts[i]
            i += 1
        bins[n], mass[n] = cell, (own + around) * scale
        n += 1
    return n

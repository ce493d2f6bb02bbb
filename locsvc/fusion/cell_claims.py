"""Cells as densities: sectors, timing bands, clouds around centroids, wide discs, and what located history adds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.fusion.claims import (
    Claims,
    Made,
    Movement,
    aged_share,
    made_of,
    movement_of,
    put_disc,
    put_gaussian,
    side_by_side,
    typical_movement_m,
)
from locsvc.fusion.densities import (
    AZIMUTH,
    COMPONENT_COLUMNS,
    FAMILY,
    FIRST_ROW,
    HALF_OPENING,
    INNER,
    INNER_SOFT,
    LOGISTIC_WIDTH,
    OPENING_SOFT,
    OUTER,
    OUTER_SOFT,
    ROWS,
    VARIANCE_E,
    WEIGHT,
    Family,
)
from locsvc.fusion.lattice import FLAT_AREA_M2
from locsvc.model import CellFallback

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_RING, _HISTOGRAM = float(Family.RING), float(Family.HISTOGRAM)
_SECTOR, _CENTROID = int(CellFallback.SECTOR), int(CellFallback.CENTROID)
_PHYSICAL_IDENTITY = int(CellFallback.PHYSICAL_IDENTITY)
# A cell that is wrong puts the caller at least into another part of town.
LEAST_CELL_SCALE_M = 3000.0


@dataclass(slots=True)
class Histograms:
    """Where located history has a caller, for each of n claims.

    weight (n,): the histogram's part of the claim, 0 to 1 (0: none); first int64, bins int64 (n,): its rows; reach_m
    (n,): radius around the claim's place that holds all bins. bin (b,) int64: H3 cells, none within another, those of a
    claim in the order of `bin & (2**52 - 1)`; mass (b,): above 0, summing to 1 a claim.
    """

    weight: Floats
    first: Ints
    bins: Ints
    reach_m: Floats
    bin: Ints
    mass: Floats


@dataclass(slots=True)
class CellClaims(Claims):
    """Cells as the cell dataset placed them.

    step int64 (CellFallback), range_m (NaN unknown), samples, azimuth_deg (NaN unknown), timing_advance (NaN unknown),
    radio int64, neighbour bool; where located history knows more than the dataset, `learned`, and with it spread_m: the
    standard deviation along one axis of a cloud that stands in for the dataset's shape (NaN: that shape stays).
    """

    step: Ints
    range_m: Floats
    samples: Floats
    azimuth_deg: Floats
    timing_advance: Floats
    radio: Ints
    neighbour: Bools
    learned: Histograms | None = None
    spread_m: Floats | None = None


class _Shapes(NamedTuple):
    """Widths of cells, by radio and step where they are arrays."""

    default_range_m: Floats
    longest_range_m: Floats
    timing_step_m: Floats
    outlier_share: Floats
    outlier_scale_factor: Floats
    range_factor: Floats
    core_factor: float
    tail_factor: float
    tail_weight: float
    few_samples: float
    unknown_samples: float
    least_range_m: float
    half_opening_deg: float
    opening_soft_deg: float
    range_soft_share: float
    timing_soft_m: float
    timing_excess_m: float
    mast_offset_share: float
    neighbour_range_factor: float
    aggregate_soft_share: float
    cloud_tail_factor: float
    cloud_tail_weight: float


def _shapes(p: Parameters) -> _Shapes:
    shape = [p.cell_shape[name] for name in _Shapes._fields[6:-2]]
    cloud = [p.coverage_cell[name] for name in _Shapes._fields[-2:]]
    return _Shapes(
        p.cell_default_range_m,
        p.cell_longest_range_m,
        p.cell_timing_step_m,
        p.step_outlier_share,
        p.step_outlier_scale_factor,
        p.step_range_factor,
        *shape,
        *cloud,
    )


def of_cells(claims: CellClaims, p: Parameters) -> Made:
    """Where a phone is that hears each cell: sectors, timing bands, clouds around centroids, wide discs."""
    n = len(claims.call)
    component, piece = np.zeros((3 * n, len(COMPONENT_COLUMNS))), np.empty(3 * n, np.int64)
    share, scale = np.empty(n), np.empty(n)
    spread_m = np.full(n, np.nan) if claims.spread_m is None else side_by_side(claims.spread_m)
    count = _put_cells(
        side_by_side(claims.range_m),
        side_by_side(claims.samples),
        side_by_side(claims.azimuth_deg),
        side_by_side(claims.timing_advance),
        side_by_side(claims.age_s),
        spread_m,
        np.ascontiguousarray(claims.step),
        np.ascontiguousarray(claims.radio),
        np.ascontiguousarray(claims.neighbour),
        _shapes(p),
        movement_of(p),
        component,
        piece,
        share,
        scale,
    )
    if claims.learned is None:
        return made_of(claims, share, scale, piece[:count], component[:count])
    h = claims.learned
    held = np.empty(len(h.bin))
    rows = (h.weight, h.first, h.bins, h.reach_m, h.bin, h.mass)
    count = _put_histograms(*rows, component, piece, count, held)
    return made_of(claims, share, scale, piece[:count], component[:count], bins=(h.bin, held))


@compiled
def _put_histograms(
    weight: Floats,
    first: Ints,
    bins: Ints,
    reach_m: Floats,
    cell: Ints,
    mass: Floats,
    component: Floats,
    piece: Ints,
    count: int,
    held: Floats,
) -> int:
    """Adds histograms to claims whose `count` components are written, which give up that weight; the new number.

    `held` (b,) gets the mass up to each bin.
    """
    for c in range(count):
        component[c, WEIGHT] *= 1.0 - weight[piece[c]]
    for i in range(len(weight)):
        if weight[i] <= 0.0 or bins[i] == 0:
            continue
        total, densest = 0.0, 0.0
        for b in range(first[i], first[i] + bins[i]):
            total += mass[b]
            held[b] = total
            densest = max(densest, mass[b] / FLAT_AREA_M2[(cell[b] >> 52) & 15])
        for b in range(first[i], first[i] + bins[i]):
            held[b] /= total
        row = component[count]
        row[:] = 0.0
        row[FAMILY], row[WEIGHT], row[HALF_OPENING] = _HISTOGRAM, weight[i], 180.0
        # As narrow as a Gaussian with its peak.
        row[VARIANCE_E] = total / (2.0 * math.pi * densest)
        row[OUTER], row[FIRST_ROW], row[ROWS] = reach_m[i], first[i], bins[i]
        piece[count] = i
        count += 1
    return count


@inlined
def _is_single(step: int) -> bool:
    """Whether the step names one cell: SECTOR, CENTROID or PHYSICAL_IDENTITY."""
    return _SECTOR <= step <= _PHYSICAL_IDENTITY


@inlined
def _cell_range_m(range_m: float, samples: float, step: int, radio: int, neighbour: np.bool_, s: _Shapes) -> float:
    """Range of a cell, metres: as stated or the radio's default, grown where samples are few, in the step's measure."""
    single, stated = _is_single(step), not math.isnan(range_m)
    reach = range_m if stated else s.default_range_m[radio]
    if single and step != _SECTOR and stated:
        reach *= math.sqrt(1.0 + s.few_samples / samples)
    if single and neighbour:
        reach *= s.neighbour_range_factor
    reach = max(reach * s.range_factor[step], s.least_range_m)
    return float(min(reach, s.longest_range_m[radio]) if single else reach)


@compiled
def _put_cells(
    range_m: Floats,
    samples_seen: Floats,
    azimuth_deg: Floats,
    timing_advance: Floats,
    age_s: Floats,
    spread_m: Floats,
    steps: Ints,
    radios: Ints,
    neighbours: Bools,
    s: _Shapes,
    t: Movement,
    component: Floats,
    piece: Ints,
    share: Floats,
    scale_m: Floats,
) -> int:
    """Writes the components of cells; their number."""
    count = 0
    for i in range(len(steps)):
        step, radio, azimuth, age = steps[i], radios[i], azimuth_deg[i], age_s[i]
        samples = samples_seen[i] if samples_seen[i] > 0 else s.unknown_samples
        reach = _cell_range_m(range_m[i], samples, step, radio, neighbours[i], s)
        moved = typical_movement_m(age, t)
        delay = timing_advance[i] * s.timing_step_m[radio]
        # A delay beyond what the radio can serve is a wrong reading, not a place.
        timed = step <= _PHYSICAL_IDENTITY and delay <= s.longest_range_m[radio] * 1.1
        extent = reach
        row = component[count]
        piece[count] = i
        if not math.isnan(spread_m[i]):
            extent = 2.0 * spread_m[i]
            _put_cloud(component, count, spread_m[i], moved, s)
            count += 1
            piece[count] = i
        elif timed:
            _put_timing_band(row, delay, reach, moved, step, radio, s)
            _put_opening(row, azimuth, s)
            extent = max(reach, delay)
        elif step == _SECTOR:
            # The range is where hardly anyone is left: the soft edge's middle lies below it.
            put_disc(
                row,
                reach * (1.0 - s.range_soft_share),
                math.hypot(reach * s.range_soft_share * 0.5, moved * LOGISTIC_WIDTH),
            )
            _put_opening(row, azimuth, s)
        elif _is_single(step):
            put_gaussian(row, 1.0 - s.tail_weight, reach * s.core_factor, reach * s.core_factor, 0.0, moved * moved)
            count += 1
            tail = reach * s.tail_factor
            put_gaussian(component[count], s.tail_weight, tail, tail, 0.0, moved * moved)
            piece[count] = i
        else:
            put_disc(row, reach, math.hypot(reach * s.aggregate_soft_share / 2.0, moved * LOGISTIC_WIDTH))
        count += 1
        # Rows of few observations are wrong more often, as their ranges are too short.
        few = math.sqrt(1.0 + s.few_samples / samples) if step == _CENTROID else 1.0
        share[i] = aged_share(s.outlier_share[step] * few, age, t)
        scale_m[i] = max(s.outlier_scale_factor[step] * extent, LEAST_CELL_SCALE_M)
    return count


@inlined
def _put_cloud(component: Floats, count: int, spread_m: float, moved_m: float, s: _Shapes) -> None:
    """Writes two Gaussians round the middle of a learned cell or group."""
    tail, extra = spread_m * s.cloud_tail_factor, moved_m * moved_m
    put_gaussian(component[count], 1.0 - s.cloud_tail_weight, spread_m, spread_m, 0.0, extra)
    put_gaussian(component[count + 1], s.cloud_tail_weight, tail, tail, 0.0, extra)


@inlined
def _put_opening(row: Floats, azimuth_deg: float, s: _Shapes) -> None:
    """Narrows a ring to the sector that an antenna serves, where its direction is known."""
    row[OPENING_SOFT] = s.opening_soft_deg
    if not math.isnan(azimuth_deg):
        row[AZIMUTH], row[HALF_OPENING] = azimuth_deg, s.half_opening_deg


@inlined
def _put_timing_band(
    row: Floats, delay_m: float, reach_m: float, moved_m: float, step: int, radio: int, s: _Shapes
) -> None:
    """Writes the band that a timing advance gives: the way is at most the delay, less what reflections add."""
    width = s.timing_step_m[radio]
    # A centroid stands off its mast by an unknown way: the band is blurred by it.
    off = 0.0 if step == _SECTOR else reach_m * s.mast_offset_share
    blur = math.hypot(off * LOGISTIC_WIDTH, moved_m * LOGISTIC_WIDTH)
    inner_soft = math.hypot(s.timing_excess_m / 2.0, blur)
    inner = max(delay_m - width / 2.0 - s.timing_excess_m, 0.0)
    row[FAMILY], row[WEIGHT], row[HALF_OPENING] = _RING, 1.0, 180.0
    # A hole that is narrower than its own blur is no hole.
    row[INNER], row[OUTER] = inner if inner > inner_soft else 0.0, delay_m + width / 2.0
    row[INNER_SOFT], row[OUTER_SOFT] = inner_soft, math.hypot(s.timing_soft_m, blur)

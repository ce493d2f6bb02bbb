"""Components of densities, averaged over cells: one loop over the places of a call for each family.

Positions are float32 metres from the piece's centre. Averaging over a cell widens what is smooth by the cell's own
variance; a histogram of cells is averaged exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import angle32, compiled, exp32, inlined
from locsvc.fusion.densities import (
    AZIMUTH,
    COVARIANCE,
    FAMILY,
    FIRST_ROW,
    HALF_OPENING,
    INNER,
    INNER_SOFT,
    LOGISTIC_WIDTH,
    OPENING_SOFT,
    OUTER,
    OUTER_SOFT,
    POLYGON_BLUR,
    RADIAL_STEPS,
    ROWS,
    VARIANCE_E,
    VARIANCE_N,
    WEIGHT,
    Family,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

_RING = int(Family.RING)
_F = np.float32
_ONE, _STEEP = _F(1), _F(80)
# Bits of an H3 cell below its resolution: base cell and digits, three bits each; digits that are not used are 7.
_DIGITS = (1 << 52) - 1
# Unsigned, so that no index is asked whether it counts from the end.
_ONE_ROW = np.uint64(1)
# A cell's part of an ancestor so many levels above it.
_PART = 7.0 ** -np.arange(16.0)


class Tables(NamedTuple):
    """What components with rows of their own refer to: `corner_m`, `bin` and `held` of `Densities`."""

    corner: Floats
    bin: Ints
    held: Floats


@inlined
def _step32(distance_over_width: np.float32) -> np.float32:
    """Logistic step, 1 far inside (negative) and 0 far outside, without overflow."""
    return _ONE / (_ONE + exp32(min(distance_over_width, _STEEP)))


@inlined
def _step(distance_over_width: float) -> float:
    return 1.0 / (1.0 + math.exp(min(distance_over_width, 80.0)))


@inlined
def add_gaussian(
    component: Floats,
    c: int,
    blur_m2: float,
    n: int,
    east: Floats32,
    north: Floats32,
    square: Floats32,
    value: Floats32,
) -> None:
    """Adds row `c` of `Pieces.component`, a GAUSSIAN, to `value`, 1 / m^2."""
    ee, nn = max(component[c, VARIANCE_E] + blur_m2, 1e-6), max(component[c, VARIANCE_N] + blur_m2, 1e-6)
    en = component[c, COVARIANCE]
    if en == 0.0 and ee == nn:
        steep, height = _F(-0.5 / ee), _F(component[c, WEIGHT] / (2.0 * math.pi * ee))
        for j in range(n):
            value[j] += height * exp32(square[j] * steep)
    else:
        determinant = ee * nn - en * en
        height = _F(component[c, WEIGHT] / (2.0 * math.pi * math.sqrt(determinant)))
        a, b, f = _F(-0.5 * nn / determinant), _F(en / determinant), _F(-0.5 * ee / determinant)
        for j in range(n):
            e, m = east[j], north[j]
            value[j] += height * exp32(e * e * a + e * m * b + m * m * f)


@compiled
def add_shape(
    row: Floats,
    tables: Tables,
    blur_m2: float,
    n: int,
    east: Floats32,
    north: Floats32,
    square: Floats32,
    value: Floats32,
) -> None:
    """Adds a RING or POLYGON, a row of `Pieces.component`, to `value`, 1 / m^2."""
    if row[FAMILY] == _RING:
        _add_ring(row, blur_m2, n, east, north, square, value)
    else:
        _add_polygon(row, tables.corner, blur_m2, n, east, north, value)


@compiled
def _add_ring(
    row: Floats, blur_m2: float, n: int, east: Floats32, north: Floats32, square: Floats32, value: Floats32
) -> None:
    """Adds a soft band, all round or in a soft sector."""
    cell = math.sqrt(blur_m2) * LOGISTIC_WIDTH
    inner, outer = row[INNER], row[OUTER]
    inner_soft = math.sqrt(row[INNER_SOFT] ** 2 + cell * cell)
    outer_soft = math.sqrt(row[OUTER_SOFT] ** 2 + cell * cell)
    half, soft = math.radians(row[HALF_OPENING]), math.radians(row[OPENING_SOFT])
    angular = 2.0 * math.pi
    sector = half < math.pi
    if sector:
        # A cell blurs directions by its own size seen from the centre, at seven tenths of the way out.
        soft = math.hypot(max(soft, 1e-3), cell / max(0.7 * outer, cell))
        # Integral of the logistic window over all directions.
        angular = 2.0 * soft * (_softplus(half / soft) - _softplus((half - math.pi) / soft))
    height = _F(row[WEIGHT] / (angular * ring_norm(inner, outer, inner_soft, outer_soft)))
    far, near = _F(outer), _F(inner)
    far_width, near_width = _F(1.0 / outer_soft), _F(1.0 / inner_soft)
    band = np.empty(n, np.float32)
    for j in range(n):
        band[j] = height * _step32((np.sqrt(square[j]) - far) * far_width)
    if inner > 0.0:
        for j in range(n):
            band[j] *= _step32((near - np.sqrt(square[j])) * near_width)
    if sector:
        azimuth = math.radians(row[AZIMUTH])
        sin_a, cos_a = _F(math.sin(azimuth)), _F(math.cos(azimuth))
        edge, width = _F(half), _F(1.0 / soft)
        for j in range(n):
            across = abs(east[j] * cos_a - north[j] * sin_a)
            turned = angle32(across, east[j] * sin_a + north[j] * cos_a)
            band[j] *= _step32((turned - edge) * width)
    for j in range(n):
        value[j] += band[j]


@inlined
def _softplus(x: float) -> float:
    """ln(1 + e^x)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@compiled
def ring_norm(inner_m: float, outer_m: float, inner_soft_m: float, outer_soft_m: float) -> float:
    """Integral of a soft band times the distance, square metres a radian.

    >>> round(ring_norm(0.0, 100.0, 1.0, 1.0))
    5002
    """
    low = max(0.0, inner_m - 10.0 * inner_soft_m) if inner_m > 0 else 0.0
    step = (outer_m + 10.0 * outer_soft_m - low) / RADIAL_STEPS
    total = 0.0
    for k in range(RADIAL_STEPS):
        distance = low + step * (k + 0.5)
        band = _step((distance - outer_m) / outer_soft_m)
        if inner_m > 0.0:
            band *= _step((inner_m - distance) / inner_soft_m)
        total += band * distance
    return total * step


@compiled
def _add_polygon(
    row: Floats, corner: Floats, blur_m2: float, n: int, east: Floats32, north: Floats32, value: Floats32
) -> None:
    """Adds a polygon with soft edges."""
    # A full blur puts a few percent of the mass outside of a sharp edge, none lets whole cells in and out by chance:
    # at 0.68 two points too wide a circle against three too small a region in simulated calls.
    cell = math.sqrt(blur_m2)
    blurred = min(max(3.0 * cell / row[OUTER], POLYGON_BLUR), 1.0)
    soft = math.hypot(row[OUTER_SOFT], cell * LOGISTIC_WIDTH * blurred)
    start, corners = int(row[FIRST_ROW]), int(row[ROWS])
    outline = corner[start : start + corners]
    area2 = 0.0
    for k in range(corners):
        after = k + 1 if k + 1 < corners else 0
        area2 += outline[k, 0] * outline[after, 1] - outline[after, 0] * outline[k, 1]
    # Integral of a soft edge around a convex outline (Steiner): the linear terms cancel.
    height = row[WEIGHT] / (abs(area2) / 2.0 + math.pi**3 / 3.0 * soft * soft)
    for j in range(n):
        inside_m = signed_distance_m(float(east[j]), float(north[j]), outline)
        value[j] += _F(height * _step(-inside_m / soft))


@compiled
def signed_distance_m(east_m: float, north_m: float, corner_m: Floats) -> float:
    """Distance of a place to an outline, positive inside, metres.

    `corner_m` (corners, 2), east and north, in order, not closed.

    >>> square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    >>> signed_distance_m(1.0, 2.0, square), signed_distance_m(-3.0, 2.0, square)
    (1.0, -3.0)
    """
    nearest2, odd = math.inf, False
    corners = len(corner_m)
    for k in range(corners):
        after = k + 1 if k + 1 < corners else 0
        ue, un = corner_m[after, 0] - corner_m[k, 0], corner_m[after, 1] - corner_m[k, 1]
        pe, pn = east_m - corner_m[k, 0], north_m - corner_m[k, 1]
        along = min(max((pe * ue + pn * un) / max(ue * ue + un * un, 1e-9), 0.0), 1.0)
        nearest2 = min(nearest2, (pe - along * ue) ** 2 + (pn - along * un) ** 2)
        # Even-odd rule: edges that cross the parallel of the place to the east of it.
        if (pn < 0.0) != (pn < un) and (pe * un < pn * ue) == (un > 0.0):
            odd = not odd
    nearest = math.sqrt(nearest2)
    return nearest if odd else -nearest


@compiled
def add_histogram(
    row: Floats, tables: Tables, cell: Cells, area_m2: Floats, n: int, value: Floats32, uneven: Floats32
) -> None:
    """Adds a histogram over H3 cells, exactly averaged over each of the first `n` cells of `cell`.

    What it adds to cells that are no part of one bin goes to `uneven` as well. In the order of their digits a cell's
    descendants stand together: what a cell holds is the difference of two sums.
    """
    first, count, weight = np.uint64(np.int64(row[FIRST_ROW])), np.uint64(np.int64(row[ROWS])), row[WEIGHT]
    bins, held, end = tables.bin, tables.held, first + count
    next_start, after = np.int64(-1), first
    for j in range(n):
        resolution = np.int64(cell[j] >> np.uint64(52)) & 15
        last = np.int64(cell[j]) & _DIGITS
        start = last & ~((1 << 3 * (15 - resolution)) - 1)
        # Siblings come one after the other: where the last one's bins ended, this one's begin.
        low = after if start == next_start else _first_from(bins, first, count, start)
        after, next_start = _passed(bins, low, end, last), last + 1
        if low == end:
            continue
        before = held[low - _ONE_ROW] if low > first else 0.0
        levels = resolution - ((bins[low] >> 52) & 15)
        shift = 3 * (15 - resolution + levels)
        if levels >= 0 and (bins[low] & _DIGITS) >> shift == last >> shift:
            value[j] += _F(weight * ((held[low] - before) * _PART[levels]) / area_m2[j])
        elif after > low:
            added = _F(weight * (held[after - _ONE_ROW] - before) / area_m2[j])
            value[j] += added
            uneven[j] += added


@inlined
def _first_from(bins: Ints, first: np.uint64, count: np.uint64, digits: np.int64) -> np.uint64:
    """The first of `count` bins from `first` on whose digits are not below; without branches to guess wrong."""
    while count > np.uint64(0):
        half = (count + _ONE_ROW) >> _ONE_ROW
        # A product: of a choice the compiler would make a branch.
        first += half * np.uint64((bins[first + half - _ONE_ROW] & _DIGITS) < digits)
        count -= half
    return first


@inlined
def _passed(bins: Ints, first: np.uint64, end: np.uint64, last: np.int64) -> np.uint64:
    """The first of the bins from `first` to `end` whose digits are beyond `last`; mostly it is near."""
    step = _ONE_ROW
    while first + step <= end and (bins[first + step - _ONE_ROW] & _DIGITS) <= last:
        first += step
        step += step
    return _first_from(bins, first, min(step - _ONE_ROW, end - first), last + 1)

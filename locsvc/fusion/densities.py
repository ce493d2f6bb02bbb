"""What evidence says about the ground: normalised densities, evaluated for all pieces of all calls at once.

A piece of evidence is a mixture of components (rows here) of one of three families, with an outlier share:

    p_i(x) = ((1 - e_i) * sum_j w_ij f_ij(x)  +  e_i * B_i(x)) ** alpha_i

* GAUSSIAN: centre and covariance; circles, ellipses, geocodes.
* RING: a band around a centre with soft edges, in all directions or in a soft sector: discs (inner radius 0), arc
  bands, mast + azimuth + timing advance.
* POLYGON: uniform inside corners, with a soft edge.

B is a wide bivariate Student density (2 degrees of freedom): where the caller may be when the piece is wrong. alpha
below 1 counts pieces that repeat one another only in part (a log-linear pool).

Lengths are metres in the tangent plane of the piece's own centre, so a call's pieces may lie anywhere on the globe.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]

# Standard deviation of a logistic edge of width w is w * pi / sqrt(3).
LOGISTIC_WIDTH = math.sqrt(3) / math.pi
# Mean square distance of a hexagon's points from its centre, along one axis, as a part of its area: 5 / (36 sqrt(3)).
HEXAGON_VARIANCE = 5 / (36 * math.sqrt(3))
# Gaussian radius that holds 99.9 %: sqrt(-2 ln 0.001).
SUPPORT_SIGMAS = 3.717
# Logistic edge beyond which 0.1 % of its height is left: ln(1000).
SUPPORT_WIDTHS = 6.91
RADIAL_STEPS = 96
# Part of a small cell's width that softens a polygon's edge.
POLYGON_BLUR = 0.7


class Family(enum.IntEnum):
    """Shape of a component."""

    GAUSSIAN = 0
    RING = 1
    POLYGON = 2


@dataclass(slots=True)
class Densities:
    """Evidence of many calls; rows are sorted by call, components by piece.

    Pieces, (k,): `call` int64 ascending; `latitude_deg`, `longitude_deg` of the centre; `outlier_share` e, above 0,
    below 1; `outlier_scale_m` of B; `exponent` alpha, above 0 to 1.

    Components, (m,): `piece` int64 ascending, each piece at least once; `family` int64; `weight`, summing to 1 a
    piece; and by family: `variance_e_m2`, `covariance_m2`, `variance_n_m2` (GAUSSIAN); `inner_m`, `outer_m`,
    `inner_soft_m`, `outer_soft_m` (logistic widths), `azimuth_deg`, `half_opening_deg` (180: all directions),
    `opening_soft_deg` (logistic width) (RING); `first_corner`, `corners` (rows of `corner_*`) and `outer_soft_m`
    (POLYGON).

    Corners, (v,): `corner_e_m`, `corner_n_m` from the piece's centre.
    """

    call: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    outlier_share: Floats
    outlier_scale_m: Floats
    exponent: Floats
    piece: Ints
    family: Ints
    weight: Floats
    variance_e_m2: Floats
    covariance_m2: Floats
    variance_n_m2: Floats
    inner_m: Floats
    outer_m: Floats
    inner_soft_m: Floats
    outer_soft_m: Floats
    azimuth_deg: Floats
    half_opening_deg: Floats
    opening_soft_deg: Floats
    first_corner: Ints
    corners: Ints
    corner_e_m: Floats
    corner_n_m: Floats

    def support_m(self) -> Floats:
        """Radius, (m,) metres, around the centre that holds 99.9 % of each component."""
        spread = (self.variance_e_m2 + self.variance_n_m2) / 2 + np.hypot(
            (self.variance_e_m2 - self.variance_n_m2) / 2, self.covariance_m2
        )
        ring = self.outer_m + SUPPORT_WIDTHS * self.outer_soft_m
        return np.where(self.family == Family.GAUSSIAN, SUPPORT_SIGMAS * np.sqrt(spread), ring)

    def narrowness_m2(self) -> Floats:
        """Variance, (m,) square metres, across the narrow side of each component: below it a cell shows detail."""
        spread = (self.variance_e_m2 + self.variance_n_m2) / 2 - np.hypot(
            (self.variance_e_m2 - self.variance_n_m2) / 2, self.covariance_m2
        )
        band = (self.outer_m - self.inner_m) ** 2 / 12 + (self.outer_soft_m / LOGISTIC_WIDTH) ** 2
        return np.where(self.family == Family.GAUSSIAN, spread, band)


def column(values: Floats) -> Floats32:
    """(n,) as (n, 1) float32, to be combined with rows of cells."""
    return values.astype(np.float32)[:, None]


def round_gaussian(d: Densities, at: Ints, blur: Floats, distance2: Floats32) -> Floats32:
    """Weighted round Gaussians at squared distances (rows, cells), which are overwritten, 1 / m^2."""
    variance = np.maximum(d.variance_e_m2[at] + blur, 1e-6)
    distance2 *= column(-0.5 / variance)
    np.exp(distance2, out=distance2)
    distance2 *= column(d.weight[at] / (2 * math.pi * variance))
    return distance2


def gaussian(d: Densities, at: Ints, blur: Floats, east: Floats32, north: Floats32) -> Floats32:
    """Weighted Gaussians (rows, cells), 1 / m^2."""
    ee, en, nn = d.variance_e_m2[at] + blur, d.covariance_m2[at], d.variance_n_m2[at] + blur
    determinant = ee * nn - en * en
    exponent = east * east
    exponent *= column(-0.5 * nn / determinant)
    cross = east * north
    cross *= column(en / determinant)
    exponent += cross
    np.multiply(north, north, out=cross)
    cross *= column(-0.5 * ee / determinant)
    exponent += cross
    np.exp(exponent, out=exponent)
    exponent *= column(d.weight[at] / (2 * math.pi * np.sqrt(determinant)))
    return exponent


def _edge(distance_over_width: Floats32 | Floats) -> Floats32 | Floats:
    """Logistic step, 1 far inside (negative) and 0 far outside, without overflow."""
    return 1 / (1 + np.exp(np.minimum(distance_over_width, 80)))


def ring(d: Densities, at: Ints, blur: Floats, east: Floats32, north: Floats32, distance2: Floats32) -> Floats32:
    """Weighted soft bands, all round or in a soft sector, (rows, cells), 1 / m^2."""
    cell = np.sqrt(blur) * LOGISTIC_WIDTH
    inner, outer = d.inner_m[at], d.outer_m[at]
    inner_soft, outer_soft = np.hypot(d.inner_soft_m[at], cell), np.hypot(d.outer_soft_m[at], cell)
    hole = inner > 0
    distance = np.sqrt(distance2)
    values = _edge((distance - column(outer)) * column(1 / outer_soft))
    if hole.any():
        inside = _edge((column(inner) - distance) * column(1 / inner_soft))
        values = np.where(hole[:, None], values * inside, values)
    half, soft = np.radians(d.half_opening_deg[at]), np.radians(d.opening_soft_deg[at])
    sector = half < math.pi
    angular = np.full(len(at), 2 * math.pi)
    if sector.any():
        # A cell blurs directions by its own size seen from the centre, at seven tenths of the way out.
        soft = np.hypot(np.maximum(soft, 1e-3), cell / np.maximum(0.7 * outer, cell))
        turned = np.abs(np.arctan2(east, north) - column(np.radians(d.azimuth_deg[at])))
        turned = np.abs(np.remainder(turned + np.float32(math.pi), np.float32(2 * math.pi)) - np.float32(math.pi))
        beam = _edge((turned - column(half)) * column(1 / soft))
        values = np.where(sector[:, None], values * beam, values)
        # Integral of the logistic window over all directions.
        window = 2 * soft * (np.logaddexp(0, half / soft) - np.logaddexp(0, (half - math.pi) / soft))
        angular = np.where(sector, window, angular)
    weight = d.weight[at] / (angular * ring_norm(inner, outer, inner_soft, outer_soft))
    result: Floats32 = values.astype(np.float32, copy=False) * column(weight)
    return result


def ring_norm(inner_m: Floats, outer_m: Floats, inner_soft_m: Floats, outer_soft_m: Floats) -> Floats:
    """Integral of a soft band times the distance, (n,) float64, square metres a radian.

    >>> one = np.ones(1)
    >>> round(float(ring_norm(0 * one, 100 * one, one, one)[0]))
    5002
    """
    low = np.maximum(0.0, np.where(inner_m > 0, inner_m - 10 * inner_soft_m, 0.0))
    high = outer_m + 10 * outer_soft_m
    step = (high - low) / RADIAL_STEPS
    distance = low[:, None] + step[:, None] * (np.arange(RADIAL_STEPS) + 0.5)
    band = _edge((distance - outer_m[:, None]) / outer_soft_m[:, None])
    inside = np.where((inner_m > 0)[:, None], _edge((inner_m[:, None] - distance) / inner_soft_m[:, None]), 1.0)
    result: Floats = np.sum(band * inside * distance, axis=1) * step
    return result


# Most numbers of a polygon's (cells x corners) table that are worked on at once: 16 MB in float32.
POLYGON_CHUNK = 4_000_000


def polygon(d: Densities, at: Ints, blur: Floats, east: Floats32, north: Floats32) -> Floats32:
    """Weighted polygons with soft edges (rows, cells), 1 / m^2."""
    # A full blur puts a few percent of the mass outside of a sharp edge, none lets whole cells in and out by chance:
    # 2.2 points too wide a circle against 3.1 points too small a region in simulated calls at 0.68.
    cell = np.sqrt(blur)
    blurred = np.clip(3 * cell / d.outer_m[at], POLYGON_BLUR, 1.0)
    soft = np.hypot(d.outer_soft_m[at], cell * LOGISTIC_WIDTH * blurred)
    values = np.empty_like(east)
    most = int(d.corners[at].max())
    rows = max(1, POLYGON_CHUNK // (east.shape[1] * most))
    for start in range(0, len(at), rows):
        part = slice(start, start + rows)
        ce, cn = _padded_corners(d, at[part], most)
        inside_m = signed_distance_m(east[part], north[part], ce, cn)
        area = _polygon_areas(ce, cn)
        # Integral of a soft edge around a convex outline (Steiner): the linear terms cancel.
        norm = area + math.pi**3 / 3 * soft[part] ** 2
        values[part] = _edge(-inside_m * column(1 / soft[part])) * column(d.weight[at[part]] / norm)
    return values


def _padded_corners(d: Densities, at: Ints, most: int) -> tuple[Floats32, Floats32]:
    """Corners (rows, most) of the polygons; the last corner is repeated, which adds edges of no length."""
    place = np.minimum(np.arange(most), d.corners[at][:, None] - 1) + d.first_corner[at][:, None]
    return d.corner_e_m[place].astype(np.float32), d.corner_n_m[place].astype(np.float32)


def _polygon_areas(ce: Floats32, cn: Floats32) -> Floats:
    e, n = ce.astype(float), cn.astype(float)
    result: Floats = np.abs(np.sum(e * np.roll(n, -1, axis=1) - np.roll(e, -1, axis=1) * n, axis=1)) / 2
    return result


def signed_distance_m(east: Floats32, north: Floats32, ce: Floats32, cn: Floats32) -> Floats32:
    """Distance to the outline, positive inside, (rows, cells) float32, metres.

    Parameters
    ----------
    east, north
        (rows, cells), places.
    ce, cn
        (rows, corners), corners in order; not closed.
    """
    ae, an = ce[:, None, :], cn[:, None, :]
    be, bn = np.roll(ce, -1, axis=1)[:, None, :], np.roll(cn, -1, axis=1)[:, None, :]
    ue, un = be - ae, bn - an
    pe, pn = east[:, :, None] - ae, north[:, :, None] - an
    along = np.clip((pe * ue + pn * un) / np.maximum(ue * ue + un * un, np.float32(1e-9)), 0, 1)
    nearest = np.sqrt(np.min((pe - along * ue) ** 2 + (pn - along * un) ** 2, axis=2))
    # Even-odd rule: edges that cross the parallel of the place to the east of it.
    crosses = (pn < 0) != (pn < un)
    east_of = pe * un < pn * ue
    odd = np.count_nonzero(crosses & (east_of == (un > 0)), axis=2) % 2 == 1
    result: Floats32 = np.where(odd, nearest, -nearest)
    return result

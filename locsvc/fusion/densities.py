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
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from locsvc.geo import SEMI_MAJOR_AXIS_M, latitudes_longitudes, local_axes, unit_vectors

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
# Pieces farther than this from their call's anchor are measured in planes of their own.
FAR_M = 200_000.0


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


@dataclass(slots=True)
class Prepared:
    """Densities as the evaluation wants them: float32, relative to each call's anchor.

    Near pieces are measured in the tangent plane of their call's anchor, where a difference is good to a part in a
    hundred at 50 km: `axes` (calls, 2, 3) and `east_m`, `north_m` (k,) of the centres. Calls with a piece beyond
    FAR_M are measured in the plane of each piece's own centre: `far` (calls,), `plane` (k, 8): coefficients
    (x, y, z, constant) of east and north for unit vectors less the anchor.
    """

    densities: Densities
    anchor: Floats  # (calls, 3) unit vectors
    axes: Floats32
    east_m: Floats32
    north_m: Floats32
    far: npt.NDArray[np.bool_]
    plane: Floats32
    first_component: Ints  # (k,) of each piece
    first_piece: Ints  # (calls,) of each call
    pieces_of_call: Ints  # (calls,)
    round: npt.NDArray[np.bool_]  # (m,) round Gaussians, which need only the distance
    narrowness_m2: Floats  # (k,) of the narrowest component
    log_reference: Floats  # (k,) so that logs stay near 0

    def of_calls(self, calls: Ints) -> Rows:
        """The rows of some calls, to be evaluated together."""
        counts = self.pieces_of_call[calls]
        pieces = _ranges(self.first_piece[calls], counts)
        d = self.densities
        ends = np.append(self.first_component[1:], len(d.piece))
        per_piece = ends[pieces] - self.first_component[pieces]
        components = _ranges(self.first_component[pieces], per_piece)
        return Rows(
            source=self,
            pieces=pieces,
            components=components,
            calls=calls,
            piece_of_component=np.repeat(np.arange(len(pieces)), per_piece),
            slot_of_piece=np.repeat(np.arange(len(calls)), counts),
            piece_starts=np.cumsum(per_piece) - per_piece,
            call_starts=np.cumsum(counts) - counts,
        )


@dataclass(slots=True)
class Rows:
    """Rows of `source` that belong to some calls; `slot` is a call's place among them.

    `piece_of_component` counts within these rows.
    """

    source: Prepared
    calls: Ints
    pieces: Ints
    components: Ints
    piece_of_component: Ints
    slot_of_piece: Ints
    piece_starts: Ints
    call_starts: Ints


def _ranges(starts: Ints, counts: Ints) -> Ints:
    """Concatenation of `arange(start, start + count)`.

    >>> _ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    result: Ints = np.arange(total) + np.repeat(starts - (ends - counts), counts)
    return result


def prepare(densities: Densities, calls: int, anchor: Floats) -> Prepared:
    """Densities made ready for evaluation; every call must have at least one piece.

    Parameters
    ----------
    densities
        Of all calls.
    calls
        Number of calls.
    anchor
        (calls, 3) float64, unit vector near each call's evidence: where float32 is finest.
    """
    d = densities
    east, north = local_axes(d.latitude_deg, d.longitude_deg)
    center = unit_vectors(d.latitude_deg, d.longitude_deg) - anchor[d.call]
    plane = np.empty((len(d.call), 8))
    plane[:, 0:3], plane[:, 3] = east, -np.sum(east * center, axis=1)
    plane[:, 4:7], plane[:, 7] = north, -np.sum(north * center, axis=1)
    axes = np.stack(local_axes(*latitudes_longitudes(anchor)), axis=1)
    flat = np.sum(axes[d.call] * center[:, None, :], axis=2)
    first_component = np.searchsorted(d.piece, np.arange(len(d.call)))
    first_piece = np.searchsorted(d.call, np.arange(calls))
    narrow = np.minimum.reduceat(d.narrowness_m2(), first_component)
    # Near the peak of the narrowest component; any constant would do, this one keeps float32 logs small.
    reference = np.log((1 - d.outlier_share) / (2 * math.pi * np.maximum(narrow, 1.0)))
    return Prepared(
        densities=d,
        anchor=anchor,
        axes=axes.astype(np.float32),
        east_m=flat[:, 0].astype(np.float32),
        north_m=flat[:, 1].astype(np.float32),
        far=np.maximum.reduceat(np.sum(center * center, axis=1), first_piece) > (FAR_M / SEMI_MAJOR_AXIS_M) ** 2,
        plane=plane.astype(np.float32),
        round=(d.family == Family.GAUSSIAN) & (d.covariance_m2 == 0) & (d.variance_e_m2 == d.variance_n_m2),
        first_component=first_component,
        first_piece=first_piece,
        pieces_of_call=np.diff(np.append(first_piece, len(d.call))),
        narrowness_m2=narrow,
        log_reference=reference,
    )


@dataclass(slots=True)
class Evaluation:
    """Log posterior (calls, cells) float32, up to a constant a call, and how much finer detail a cell hides.

    `sharpness` (calls, cells) float32, 0 or more: sum over the pieces of the probability that the piece is right
    there times the share of the cell's own size in its width; above a half the cell should be split.
    `agreement` (pieces, cells) float32: probability that each piece is right, were the caller there.
    """

    log_posterior: Floats32
    sharpness: Floats32
    agreement: Floats32


def evaluate(rows: Rows, vectors: Floats32, blur_m2: Floats) -> Evaluation:
    """The log posterior at cells, each density averaged over the cell.

    Parameters
    ----------
    rows
        Of the calls whose cells these are.
    vectors
        (3, calls, cells) float32, unit vectors of the centres less the call's anchor.
    blur_m2
        (calls,) float64, variance of a cell along one axis, square metres: widths of densities grow by it, which is
        what averaging over a cell does to them.
    """
    d, prepared = rows.source.densities, rows.source
    east, north = _coordinates(rows, vectors)
    background = east * east
    background += north * north
    mixture = _inliers(rows, east, north, background, blur_m2)
    share = d.outlier_share[rows.pieces]
    scale2 = d.outlier_scale_m[rows.pieces] ** 2
    reference = np.exp(-prepared.log_reference[rows.pieces])
    # Student density with 2 degrees of freedom: (1 + d^2 / (2 s^2))^-2 / (2 pi s^2).
    background *= _column(0.5 / scale2)
    background += np.float32(1)
    np.multiply(background, background, out=background)
    np.divide(_column(share * reference / (2 * math.pi * scale2)), background, out=background)
    mixture *= _column((1 - share) * reference)
    total = mixture + background
    np.divide(mixture, total, out=mixture)
    log_total = np.log(total, out=total)
    exponent = d.exponent[rows.pieces]
    if (exponent != 1).any():
        log_total *= _column(exponent)
    blur = blur_m2[rows.slot_of_piece]
    detail = mixture * _column(blur / (blur + prepared.narrowness_m2[rows.pieces]))
    return Evaluation(
        sum_rows(log_total, rows.call_starts),
        sum_rows(detail, rows.call_starts),
        mixture,
    )


def log_all_wrong(prepared: Prepared, vectors: Floats) -> Floats:
    """Log of the product of e_i * B_i, (calls, places) float64, in the units of `Evaluation.log_posterior`.

    `vectors` (calls, places, 3) float64, unit vectors less the call's anchor.
    """
    d = prepared.densities
    first = prepared.plane.astype(np.float64)
    at = vectors[d.call]
    distance2 = np.zeros(at.shape[:2])
    for axis in (0, 4):
        metres = at[:, :, 0] * first[:, None, axis]
        metres += at[:, :, 1] * first[:, None, axis + 1]
        metres += at[:, :, 2] * first[:, None, axis + 2]
        metres += first[:, None, axis + 3]
        distance2 += metres * metres
    scale2 = (d.outlier_scale_m**2)[:, None]
    height = np.log(d.outlier_share / (2 * math.pi * d.outlier_scale_m**2)) - prepared.log_reference
    log = height[:, None] - 2 * np.log1p(distance2 / (2 * scale2))
    result: Floats = np.add.reduceat(log * d.exponent[:, None], prepared.first_piece, axis=0)
    return result


def _column(values: Floats) -> Floats32:
    return values.astype(np.float32)[:, None]


def _coordinates(rows: Rows, vectors: Floats32) -> tuple[Floats32, Floats32]:
    """East and north of each cell from each piece's centre, (pieces, cells) float32, metres."""
    prepared, slot = rows.source, rows.slot_of_piece
    axes = prepared.axes[rows.calls]
    found = []
    for axis, center in ((0, prepared.east_m), (1, prepared.north_m)):
        metres = vectors[0] * axes[:, axis, 0:1]
        metres += vectors[1] * axes[:, axis, 1:2]
        metres += vectors[2] * axes[:, axis, 2:3]
        relative = metres[slot]
        relative -= center[rows.pieces][:, None]
        found.append(relative)
    far = np.nonzero(prepared.far[rows.calls][slot])[0]
    if len(far):
        plane = prepared.plane[rows.pieces[far]]
        x, y, z = (v[slot[far]] for v in vectors)
        for axis, relative in zip((0, 4), found, strict=True):
            relative[far] = (
                x * plane[:, axis, None]
                + y * plane[:, axis + 1, None]
                + z * plane[:, axis + 2, None]
                + plane[:, axis + 3, None]
            )
    return found[0], found[1]


def _inliers(rows: Rows, east: Floats32, north: Floats32, distance2: Floats32, blur_m2: Floats) -> Floats32:
    """Density of each piece at each cell if it is right, (pieces, cells) float32, 1 / m^2."""
    d, at, piece = rows.source.densities, rows.components, rows.piece_of_component
    blur = blur_m2[rows.slot_of_piece][piece]
    is_round = rows.source.round[at]
    if is_round.all():
        values = _round_gaussian(d, at, blur, distance2[piece])
    else:
        values = np.empty((len(at), east.shape[1]), np.float32)
        which = np.nonzero(is_round)[0]
        values[which] = _round_gaussian(d, at[which], blur[which], distance2[piece[which]])
        for kind in Family:
            which = np.nonzero((d.family[at] == kind) & ~is_round)[0]
            if not len(which):
                continue
            mine = piece[which]
            if kind is Family.GAUSSIAN:
                values[which] = _gaussian(d, at[which], blur[which], east[mine], north[mine])
            elif kind is Family.RING:
                values[which] = _ring(d, at[which], blur[which], east[mine], north[mine], distance2[mine])
            else:
                values[which] = _polygon(d, at[which], blur[which], east[mine], north[mine])
    if len(at) == len(rows.pieces):
        return values
    return sum_rows(values, rows.piece_starts)


def sum_rows(values: Floats32, starts: Ints) -> Floats32:
    """Sums of the rows from each start to the next, (starts, columns) float32.

    Row after row is added to all sums at once, which is five times faster than `np.add.reduceat` on whole rows; the
    order of the additions is that of the rows.
    """
    counts = np.diff(np.append(starts, len(values)))
    result = values[starts]
    for k in range(1, int(counts.max())):
        more = counts > k
        if more.all():
            result += values[starts + k]
        else:
            at = np.nonzero(more)[0]
            result[at] += values[starts[at] + k]
    return result


def _round_gaussian(d: Densities, at: Ints, blur: Floats, distance2: Floats32) -> Floats32:
    variance = d.variance_e_m2[at] + blur
    distance2 *= _column(-0.5 / variance)
    np.exp(distance2, out=distance2)
    distance2 *= _column(d.weight[at] / (2 * math.pi * variance))
    return distance2


def _gaussian(d: Densities, at: Ints, blur: Floats, east: Floats32, north: Floats32) -> Floats32:
    ee, en, nn = d.variance_e_m2[at] + blur, d.covariance_m2[at], d.variance_n_m2[at] + blur
    determinant = ee * nn - en * en
    exponent = east * east
    exponent *= _column(-0.5 * nn / determinant)
    cross = east * north
    cross *= _column(en / determinant)
    exponent += cross
    np.multiply(north, north, out=cross)
    cross *= _column(-0.5 * ee / determinant)
    exponent += cross
    np.exp(exponent, out=exponent)
    exponent *= _column(d.weight[at] / (2 * math.pi * np.sqrt(determinant)))
    return exponent


def _edge(distance_over_width: Floats32 | Floats) -> Floats32 | Floats:
    """Logistic step, 1 far inside (negative) and 0 far outside, without overflow."""
    return 1 / (1 + np.exp(np.minimum(distance_over_width, 80)))


def _ring(d: Densities, at: Ints, blur: Floats, east: Floats32, north: Floats32, distance2: Floats32) -> Floats32:
    cell = np.sqrt(blur) * LOGISTIC_WIDTH
    inner, outer = d.inner_m[at], d.outer_m[at]
    inner_soft, outer_soft = np.hypot(d.inner_soft_m[at], cell), np.hypot(d.outer_soft_m[at], cell)
    hole = inner > 0
    distance = np.sqrt(distance2)
    values = _edge((distance - _column(outer)) * _column(1 / outer_soft))
    if hole.any():
        inside = _edge((_column(inner) - distance) * _column(1 / inner_soft))
        values = np.where(hole[:, None], values * inside, values)
    half, soft = np.radians(d.half_opening_deg[at]), np.radians(d.opening_soft_deg[at])
    sector = half < math.pi
    angular = np.full(len(at), 2 * math.pi)
    if sector.any():
        # A cell blurs directions by its own size seen from the centre, at seven tenths of the way out.
        soft = np.hypot(np.maximum(soft, 1e-3), cell / np.maximum(0.7 * outer, cell))
        turned = np.abs(np.arctan2(east, north) - _column(np.radians(d.azimuth_deg[at])))
        turned = np.abs(np.remainder(turned + np.float32(math.pi), np.float32(2 * math.pi)) - np.float32(math.pi))
        beam = _edge((turned - _column(half)) * _column(1 / soft))
        values = np.where(sector[:, None], values * beam, values)
        # Integral of the logistic window over all directions.
        window = 2 * soft * (np.logaddexp(0, half / soft) - np.logaddexp(0, (half - math.pi) / soft))
        angular = np.where(sector, window, angular)
    weight = d.weight[at] / (angular * ring_norm(inner, outer, inner_soft, outer_soft))
    result: Floats32 = values.astype(np.float32, copy=False) * _column(weight)
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


def _polygon(d: Densities, at: Ints, blur: Floats, east: Floats32, north: Floats32) -> Floats32:
    soft = np.hypot(d.outer_soft_m[at], np.sqrt(blur) * LOGISTIC_WIDTH)
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
        values[part] = _edge(-inside_m * _column(1 / soft[part])) * _column(d.weight[at[part]] / norm)
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


def concatenate(parts: list[Densities]) -> Densities:
    """The densities of several batches of calls as one; calls and pieces must be numbered through already."""
    return Densities(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Densities)})

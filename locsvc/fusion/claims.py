"""From what sources claim to densities: one maker for each kind of evidence, on arrays.

A claim is a row of numbers without a model object behind it, so that a table's columns can be claims as they are. Each
maker turns the claims of one kind, of all calls, into pieces and components; `gathering` puts all of them in order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.fusion.densities import (
    AZIMUTH,
    COMPONENT_COLUMNS,
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
    ROWS,
    VARIANCE_E,
    VARIANCE_N,
    WEIGHT,
    Family,
)
from locsvc.fusion.parameters import LINE_KINDS, DeviceColumns

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_MAST, _CAMPUS = LINE_KINDS.index("mast"), LINE_KINDS.index("campus")
_GAUSSIAN, _RING, _POLYGON, _HISTOGRAM = (float(f) for f in Family)
NO_CORNERS = np.zeros((0, 2))
NO_BINS = (np.zeros(0, np.int64), np.zeros(0))
# Half of the way from a place to a quarter round the globe: what is wider says nothing more.
MOST_SIGMA_M = 5e6


@dataclass(slots=True)
class Claims:
    """What all kinds of claims have, (n,).

    call int64; order int64, place among the call's pieces (unique in a call); latitude_deg, longitude_deg; age_s,
    0 or more; exponent, above 0 to 1.
    """

    call: Ints
    order: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    age_s: Floats
    exponent: Floats


@dataclass(slots=True)
class EllipseClaims(Claims):
    """Circles and ellipses of devices.

    sigma_major_m, sigma_minor_m as claimed (NaN: unknown), orientation_deg of the major axis, kind int64 (row of
    DEVICE_KINDS).
    """

    sigma_major_m: Floats
    sigma_minor_m: Floats
    orientation_deg: Floats
    kind: Ints


@dataclass(slots=True)
class BandClaims(Claims):
    """Arc bands of devices: inner_m, outer_m, azimuth_deg of the middle, half_opening_deg, confidence, kind."""

    inner_m: Floats
    outer_m: Floats
    azimuth_deg: Floats
    half_opening_deg: Floats
    confidence: Floats
    kind: Ints


@dataclass(slots=True)
class PolygonClaims(Claims):
    """Polygons of devices: corners (v,) metres from the centre, first_corner, corners int64, confidence, kind."""

    first_corner: Ints
    corners: Ints
    confidence: Floats
    kind: Ints
    corner_e_m: Floats
    corner_n_m: Floats


@dataclass(slots=True)
class LineClaims(Claims):
    """Line records with a place: kind int64 (row of LINE_KINDS), placement int64, sigma_m (NaN unknown)."""

    kind: Ints
    placement: Ints
    sigma_m: Floats


@dataclass(slots=True)
class PlanClaims(Claims):
    """Numbers of which only the number plan's country is known: radius_m of the country."""

    radius_m: Floats


@dataclass(slots=True)
class Made:
    """What one maker made of its claims.

    Pieces, (k,), one a claim: `call`, `order`, place, outlier share and scale, exponent. Components, (m,): `piece`
    counts the maker's own pieces; rows of `component` as in `Densities`; `corner_m` (v, 2); `bin`, `held` (b,).
    """

    call: Ints
    order: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    outlier_share: Floats
    outlier_scale_m: Floats
    exponent: Floats
    piece: Ints
    component: Floats
    corner_m: Floats
    bin: Ints
    held: Floats


class Movement(NamedTuple):
    """How callers move while evidence ages, and how it grows wrong."""

    fresh_s: float
    still_weight: float
    walking_weight: float
    walking_m_s: float
    vehicle_m_s: float
    stale_outlier_share: float
    stale_growth_s: float


class _Widths(NamedTuple):
    """Widths of devices' reports by kind, and limits for all of them."""

    device: DeviceColumns
    least_sigma_m: float
    unknown_outlier_share: float
    pivot_m: float


def side_by_side(column: Floats) -> Floats:
    """The column (n,) as float64 whose numbers lie side by side: kernels are compiled for these."""
    return np.ascontiguousarray(column, np.float64)


def movement_of(p: Parameters) -> Movement:
    """How callers move, for kernels."""
    return Movement(*(p.time[name] for name in Movement._fields))


def _widths(p: Parameters) -> _Widths:
    return _Widths(p.device, *(p.device_limits[name] for name in _Widths._fields[1:]))


def made_of(
    claims: Claims,
    share: Floats,
    scale_m: Floats,
    piece: Ints,
    component: Floats,
    corner_m: Floats = NO_CORNERS,
    bins: tuple[Ints, Floats] = NO_BINS,
) -> Made:
    """Pieces and components of claims, one piece each."""
    return Made(
        claims.call,
        claims.order,
        claims.latitude_deg,
        claims.longitude_deg,
        share,
        scale_m,
        claims.exponent,
        piece,
        component,
        corner_m,
        *bins,
    )


@inlined
def aged_share(share: float, age_s: float, t: Movement) -> float:
    """Outlier share after `age_s`: grows towards `stale_outlier_share`, which it never passes for its age alone."""
    if age_s <= t.fresh_s or share >= t.stale_outlier_share:
        return share
    return share + (t.stale_outlier_share - share) * (1.0 - math.exp(-(age_s - t.fresh_s) / t.stale_growth_s))


@inlined
def typical_movement_m(age_s: float, t: Movement) -> float:
    """Root of the mean square movement along one axis, metres: what soft edges grow by."""
    if age_s <= t.fresh_s:
        return 0.0
    vehicle_weight = 1.0 - t.still_weight - t.walking_weight
    walked, driven = t.walking_m_s * age_s, t.vehicle_m_s * age_s
    return math.sqrt((t.walking_weight * walked * walked + vehicle_weight * driven * driven) / 2.0)


@inlined
def put_gaussian(row: Floats, weight: float, major_m: float, minor_m: float, axis_deg: float, extra_m2: float) -> None:
    """Writes a Gaussian component."""
    angle = math.radians(axis_deg)
    s, c = math.sin(angle), math.cos(angle)
    a, b = major_m * major_m, minor_m * minor_m
    row[FAMILY], row[WEIGHT], row[HALF_OPENING] = _GAUSSIAN, weight, 180.0
    if a == b:
        row[VARIANCE_E], row[VARIANCE_N] = a + extra_m2, a + extra_m2
    else:
        row[VARIANCE_E], row[VARIANCE_N] = a * s * s + b * c * c + extra_m2, a * c * c + b * s * s + extra_m2
        row[COVARIANCE] = (a - b) * s * c


@inlined
def put_disc(row: Floats, radius_m: float, soft_m: float) -> None:
    """Writes a soft disc."""
    row[FAMILY], row[WEIGHT], row[HALF_OPENING] = _RING, 1.0, 180.0
    row[OUTER], row[INNER_SOFT], row[OUTER_SOFT], row[OPENING_SOFT] = radius_m, soft_m, soft_m, 1.0


def of_ellipses(claims: EllipseClaims, p: Parameters) -> Made:
    """Core and tail of each device's circle or ellipse, widened by movement."""
    n = len(claims.call)
    component, piece = np.zeros((6 * n, len(COMPONENT_COLUMNS))), np.empty(6 * n, np.int64)
    share, scale = np.empty(n), np.empty(n)
    count = _put_ellipses(
        side_by_side(claims.sigma_major_m),
        side_by_side(claims.sigma_minor_m),
        side_by_side(claims.orientation_deg),
        side_by_side(claims.age_s),
        np.ascontiguousarray(claims.kind),
        _widths(p),
        movement_of(p),
        component,
        piece,
        share,
        scale,
    )
    return made_of(claims, share, scale, piece[:count], component[:count])


@inlined
def _grown_share(share: float, log_odds: float) -> float:
    """The share with its log odds changed.

    >>> round(_grown_share(0.5, math.log(3.0)), 9)
    0.75
    """
    odds = share / (1.0 - share) * math.exp(log_odds)
    return odds / (1.0 + odds)


@compiled
def _put_ellipses(
    sigma_major_m: Floats,
    sigma_minor_m: Floats,
    axis_deg: Floats,
    age_s: Floats,
    kind: Ints,
    w: _Widths,
    t: Movement,
    component: Floats,
    piece: Ints,
    share: Floats,
    scale_m: Floats,
) -> int:
    """Writes the components of ellipses, half axes of one sigma; their number."""
    count = 0
    vehicle_weight = 1.0 - t.still_weight - t.walking_weight
    d = w.device
    for i in range(len(kind)):
        k = kind[i]
        major, minor, axis, age = sigma_major_m[i], sigma_minor_m[i], axis_deg[i], age_s[i]
        known = not math.isnan(major)
        if not known:
            # The wide radius assumed for an unknown one is meant at 95 %: 2.4477 sigma.
            major = minor = d.unknown_radius_m[k] / math.sqrt(-2.0 * math.log(0.05))
        # A radius at a confidence of nearly 0 says nothing: as wide as the globe is wide enough.
        major = min(max(major, w.least_sigma_m), MOST_SIGMA_M)
        minor = min(max(minor, w.least_sigma_m), MOST_SIGMA_M)
        size = min(max(math.sqrt(major * minor), d.fitted_from_m[k]), d.fitted_to_m[k])
        e_folds = math.log(size / w.pivot_m)
        core = d.core_factor[k] * math.exp((d.core_exponent[k] - 1.0) * e_folds)
        tail = d.tail_factor[k] * math.exp((d.tail_exponent[k] - 1.0) * e_folds)
        wrong = _grown_share(d.outlier_share[k], d.outlier_slope[k] * e_folds)
        if not known:
            # An assumed width is no claim that could be too wide, nor one of a size for which tails were fitted.
            core, tail = 1.0, max(d.tail_factor[k] / d.core_factor[k], 1.0)
            wrong = max(d.outlier_share[k], w.unknown_outlier_share)
        for part in range(2):
            weight = d.tail_weight[k] if part else 1.0 - d.tail_weight[k]
            factor = tail if part else core
            for way in range(3 if age > t.fresh_s else 1):
                chance, speed = 1.0, 0.0
                if age > t.fresh_s:
                    chance = (t.still_weight, t.walking_weight, vehicle_weight)[way]
                    speed = (0.0, t.walking_m_s, t.vehicle_m_s)[way]
                if weight * chance > 0.0:
                    moved = (speed * age) ** 2 / 2.0
                    put_gaussian(component[count], weight * chance, major * factor, minor * factor, axis, moved)
                    piece[count] = i
                    count += 1
        share[i] = aged_share(wrong, age, t)
        scale_m[i] = max(d.outlier_scale_m[k], 3.0 * major)
    return count


@compiled
def _age(share: Floats, age_s: Floats, t: Movement, soft_m: Floats) -> None:
    """Ages outlier shares (n,) in place; writes the logistic width that movement gives an edge to `soft_m` (n,)."""
    for i in range(len(share)):
        share[i] = aged_share(share[i], age_s[i], t)
        soft_m[i] = typical_movement_m(age_s[i], t) * LOGISTIC_WIDTH


@compiled
def _put_discs(component: Floats, chosen: Bools, radius_m: Floats, soft_share: float) -> None:
    """Writes soft discs to the chosen rows."""
    for i in range(len(chosen)):
        if chosen[i]:
            component[i] = 0.0
            put_disc(component[i], radius_m[i], radius_m[i] * soft_share / 2.0)


def of_bands(claims: BandClaims, p: Parameters) -> Made:
    """Arc bands, with soft edges."""
    n = len(claims.call)
    soft = p.device_limits["shape_soft_share"]
    share = _shape_share(p.device.outlier_share[claims.kind], claims.confidence)
    moved = np.empty(n)
    _age(share, claims.age_s, movement_of(p), moved)
    width = np.hypot((claims.outer_m - claims.inner_m) * soft / 4, moved)
    component = np.zeros((n, len(COMPONENT_COLUMNS)))
    component[:, FAMILY], component[:, WEIGHT] = _RING, 1.0
    component[:, INNER], component[:, OUTER] = claims.inner_m, claims.outer_m
    component[:, INNER_SOFT] = component[:, OUTER_SOFT] = np.maximum(width, 1.0)
    component[:, AZIMUTH], component[:, HALF_OPENING] = claims.azimuth_deg, claims.half_opening_deg
    component[:, OPENING_SOFT] = np.maximum(claims.half_opening_deg * soft / 4, 0.5)
    scale = np.maximum(p.device.outlier_scale_m[claims.kind], claims.outer_m)
    return made_of(claims, share, scale, np.arange(n), component)


def _shape_share(share: Floats, confidence: Floats) -> Floats:
    """Outlier share of a uniform shape that holds `confidence`: what it leaves out is elsewhere."""
    return 1 - (1 - share) * confidence


def of_polygons(claims: PolygonClaims, p: Parameters) -> Made:
    """Polygons, with soft edges."""
    n = len(claims.call)
    distance = np.hypot(claims.corner_e_m, claims.corner_n_m)
    reach = np.maximum.reduceat(distance, claims.first_corner) if n else np.zeros(0)
    edge = reach * p.device_limits["shape_soft_share"] / 4
    component = np.zeros((n, len(COMPONENT_COLUMNS)))
    component[:, FAMILY], component[:, WEIGHT], component[:, HALF_OPENING] = _POLYGON, 1.0, 180.0
    # The support of any component is read from its outer radius; for a polygon it is the farthest corner.
    component[:, OUTER] = reach
    share = _shape_share(p.device.outlier_share[claims.kind], claims.confidence)
    moved = np.empty(n)
    _age(share, claims.age_s, movement_of(p), moved)
    component[:, INNER_SOFT] = component[:, OUTER_SOFT] = np.maximum(np.hypot(edge, moved), 1.0)
    component[:, FIRST_ROW], component[:, ROWS] = claims.first_corner, claims.corners
    scale = np.maximum(p.device.outlier_scale_m[claims.kind], 2 * reach)
    corner = np.stack((claims.corner_e_m, claims.corner_n_m), axis=1)
    return made_of(claims, share, scale, np.arange(n), component, corner)


class _LineWidths(NamedTuple):
    """Widths of lines by placement and kind (LINE_KINDS), and what is the same for all."""

    placement_sigma_m: Floats
    outlier_share: Floats
    outlier_scale_m: Floats
    campus_sigma_m: float
    mast_range_m: float
    least_sigma_m: float
    soft_share: float


def of_lines(claims: LineClaims, p: Parameters) -> Made:
    """Records' places, by class of service and placement. Lines do not move: they do not age."""
    n = len(claims.call)
    component = np.zeros((n, len(COMPONENT_COLUMNS)))
    share, scale = np.empty((2, n))
    widths = _LineWidths(
        p.placement_sigma_m,
        p.line_outlier_share,
        p.line_outlier_scale_m,
        p.line_limits["campus_sigma_m"],
        p.line_limits["mast_range_m"],
        p.device_limits["least_sigma_m"],
        p.cell_shape["aggregate_soft_share"],
    )
    kind, placement = np.ascontiguousarray(claims.kind), np.ascontiguousarray(claims.placement)
    _put_lines(kind, placement, side_by_side(claims.sigma_m), widths, component, share, scale)
    return made_of(claims, share, scale, np.arange(n), component)


@compiled
def _put_lines(
    kind: Ints, placement: Ints, sigma_m: Floats, w: _LineWidths, component: Floats, share: Floats, scale_m: Floats
) -> None:
    """Writes the components of lines, one each."""
    for i in range(len(kind)):
        told = not math.isnan(sigma_m[i])
        sigma = sigma_m[i] if told else w.placement_sigma_m[placement[i]]
        if kind[i] == _CAMPUS:
            sigma = math.hypot(sigma, w.campus_sigma_m)
        sigma = min(max(sigma, w.least_sigma_m), MOST_SIGMA_M)
        if kind[i] == _MAST and not told:
            put_disc(component[i], w.mast_range_m, w.mast_range_m * w.soft_share / 2.0)
        else:
            put_gaussian(component[i], 1.0, sigma, sigma, 0.0, 0.0)
        share[i] = w.outlier_share[kind[i]]
        scale_m[i] = max(w.outlier_scale_m[kind[i]], 3.0 * sigma)


def of_plans(claims: PlanClaims, p: Parameters) -> Made:
    """Discs of countries."""
    n = len(claims.call)
    component = np.zeros((n, len(COMPONENT_COLUMNS)))
    _put_discs(component, np.ones(n, bool), claims.radius_m, p.cell_shape["aggregate_soft_share"])
    share = np.full(n, p.line_limits["plan_outlier_share"])
    return made_of(claims, share, claims.radius_m, np.arange(n), component)

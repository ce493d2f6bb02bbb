"""From what sources claim to densities: one maker for each kind of evidence, on arrays.

A claim is a row of numbers without a model object behind it, so that a table's columns can be claims as they are. Each
maker turns the claims of one kind, of all calls, into pieces and components; `gather` puts all of them in order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.densities import COMPONENT_COLUMNS, FAMILY, FIRST_CORNER, HALF_OPENING, WEIGHT, Densities, Family
from locsvc.fusion.parameters import LINE_KINDS
from locsvc.model import CellFallback

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_MAST = LINE_KINDS.index("mast")
_NUMBER = {name: i for i, name in enumerate(COMPONENT_COLUMNS)}
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

    sigma_major_m, sigma_minor_m as claimed (NaN: unknown), orientation_deg of the major axis, method int64
    (PositioningMethod).
    """

    sigma_major_m: Floats
    sigma_minor_m: Floats
    orientation_deg: Floats
    method: Ints


@dataclass(slots=True)
class BandClaims(Claims):
    """Arc bands of devices: inner_m, outer_m, azimuth_deg of the middle, half_opening_deg, confidence, method."""

    inner_m: Floats
    outer_m: Floats
    azimuth_deg: Floats
    half_opening_deg: Floats
    confidence: Floats
    method: Ints


@dataclass(slots=True)
class PolygonClaims(Claims):
    """Polygons of devices: corners (v,) metres from the centre, first_corner, corners int64, confidence, method."""

    first_corner: Ints
    corners: Ints
    confidence: Floats
    method: Ints
    corner_e_m: Floats
    corner_n_m: Floats


@dataclass(slots=True)
class CellClaims(Claims):
    """Cells as the cell dataset placed them.

    step int64 (CellFallback), range_m (NaN unknown), samples, azimuth_deg (NaN unknown), timing_advance (NaN unknown),
    radio int64, neighbour bool.
    """

    step: Ints
    range_m: Floats
    samples: Floats
    azimuth_deg: Floats
    timing_advance: Floats
    radio: Ints
    neighbour: Bools


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
class _Pieces:
    call: Ints
    order: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    outlier_share: Floats
    outlier_scale_m: Floats
    exponent: Floats


@dataclass(slots=True)
class _Block:
    """Components of one maker: `piece` counts the maker's own pieces; columns left out are 0."""

    piece: Ints
    family: Family
    weight: Floats
    columns: dict[str, Floats | Ints]


@dataclass(slots=True)
class Made:
    """What one maker made of its claims."""

    pieces: _Pieces
    blocks: list[_Block]
    corner_m: Floats


def _made(claims: Claims, share: Floats, scale_m: Floats, blocks: list[_Block], p: Parameters) -> Made:
    pieces = _Pieces(
        claims.call,
        claims.order,
        claims.latitude_deg,
        claims.longitude_deg,
        _aged_share(share, claims.age_s, p),
        scale_m,
        claims.exponent,
    )
    return Made(pieces, blocks, np.zeros((0, 2)))


def _aged_share(share: Floats, age_s: Floats, p: Parameters) -> Floats:
    """Outlier share after `age_s`: grows towards `stale_outlier_share`, which it never passes for its age alone."""
    grown = 1 - np.exp(-np.maximum(age_s - p.time["fresh_s"], 0.0) / p.time["stale_growth_s"])
    result: Floats = share + np.maximum(p.time["stale_outlier_share"] - share, 0.0) * grown
    return result


def _moved(age_s: Floats, p: Parameters) -> list[tuple[Floats, Floats]]:
    """(weight, variance in square metres along one axis) of each way to have moved in `age_s`."""
    t = p.time
    if not (age_s > t["fresh_s"]).any():
        return [(np.ones_like(age_s), np.zeros_like(age_s))]
    away = np.where(age_s > t["fresh_s"], age_s, 0.0)
    walking = np.where(away > 0, t["walking_weight"], 0.0)
    vehicle = np.where(away > 0, 1 - t["still_weight"] - t["walking_weight"], 0.0)
    return [
        (1 - walking - vehicle, np.zeros_like(away)),
        (walking, (t["walking_m_s"] * away) ** 2 / 2),
        (vehicle, (t["vehicle_m_s"] * away) ** 2 / 2),
    ]


def _typical_movement_m(age_s: Floats, p: Parameters) -> Floats:
    """Root of the mean square movement along one axis, metres: what soft edges grow by."""
    return np.sqrt(sum((w * v for w, v in _moved(age_s, p)), np.zeros_like(age_s)))


def _gaussians(
    piece: Ints, weight: Floats, major_m: Floats, minor_m: Floats, axis_deg: Floats, extra_m2: Floats
) -> _Block:
    angle = np.radians(axis_deg)
    s, c = np.sin(angle), np.cos(angle)
    a, b = major_m**2, minor_m**2
    columns = {
        "variance_e_m2": a * s * s + b * c * c + extra_m2,
        "covariance_m2": np.where(a == b, 0.0, (a - b) * s * c),
        "variance_n_m2": a * c * c + b * s * s + extra_m2,
    }
    return _Block(piece, Family.GAUSSIAN, weight, dict(columns))


def of_ellipses(claims: EllipseClaims, p: Parameters) -> Made:
    """Core and tail of each device's circle or ellipse, widened by movement."""
    m = claims.method
    known = ~np.isnan(claims.sigma_major_m)
    # The wide radius assumed for an unknown one is meant at 95 %: 2.4477 sigma.
    assumed = p.device_unknown_radius_m[m] / math.sqrt(-2 * math.log(0.05))
    least = p.device_limits["least_sigma_m"]
    # A radius at a confidence of nearly 0 says nothing: as wide as the globe is wide enough.
    major = np.clip(np.where(known, claims.sigma_major_m, assumed), least, MOST_SIGMA_M)
    minor = np.clip(np.where(known, claims.sigma_minor_m, assumed), least, MOST_SIGMA_M)
    blocks = []
    tail = p.device_tail_weight[m]
    index = np.arange(len(m))
    for part, factor in ((1 - tail, p.device_core_factor[m]), (tail, p.device_tail_factor[m])):
        for weight, variance in _moved(claims.age_s, p):
            at = np.nonzero(weight > 0)[0]
            if len(at):
                w, f = (part * weight)[at], factor[at]
                blocks.append(
                    _gaussians(index[at], w, major[at] * f, minor[at] * f, claims.orientation_deg[at], variance[at])
                )
    share = np.where(
        known,
        p.device_outlier_share[m],
        np.maximum(p.device_outlier_share[m], p.device_limits["unknown_outlier_share"]),
    )
    scale = np.maximum(p.device_outlier_scale_m[m], 3 * major)
    return _made(claims, share, scale, blocks, p)


def _shape_share(share: Floats, confidence: Floats) -> Floats:
    """Outlier share of a uniform shape that holds `confidence`: what it leaves out is elsewhere."""
    return 1 - (1 - share) * confidence


def of_bands(claims: BandClaims, p: Parameters) -> Made:
    """Arc bands, with soft edges."""
    soft = p.device_limits["shape_soft_share"]
    moved = _typical_movement_m(claims.age_s, p) * math.sqrt(3) / math.pi
    width = np.hypot((claims.outer_m - claims.inner_m) * soft / 4, moved)
    block = _Block(
        np.arange(len(claims.call)),
        Family.RING,
        np.ones(len(claims.call)),
        {
            "inner_m": claims.inner_m,
            "outer_m": claims.outer_m,
            "inner_soft_m": np.maximum(width, 1.0),
            "outer_soft_m": np.maximum(width, 1.0),
            "azimuth_deg": claims.azimuth_deg,
            "half_opening_deg": claims.half_opening_deg,
            "opening_soft_deg": np.maximum(claims.half_opening_deg * soft / 4, 0.5),
        },
    )
    share = _shape_share(p.device_outlier_share[claims.method], claims.confidence)
    return _made(claims, share, np.maximum(p.device_outlier_scale_m[claims.method], claims.outer_m), [block], p)


def of_polygons(claims: PolygonClaims, p: Parameters) -> Made:
    """Polygons, with soft edges."""
    n = len(claims.call)
    reach = np.zeros(n)
    distance = np.hypot(claims.corner_e_m, claims.corner_n_m)
    reach = np.maximum.reduceat(distance, claims.first_corner) if n else reach
    moved = _typical_movement_m(claims.age_s, p) * math.sqrt(3) / math.pi
    soft = np.maximum(np.hypot(reach * p.device_limits["shape_soft_share"] / 4, moved), 1.0)
    block = _Block(
        np.arange(n),
        Family.POLYGON,
        np.ones(n),
        {
            # The support of any component is read from outer_m; for a polygon it is the farthest corner.
            "outer_m": reach,
            "inner_soft_m": soft,
            "outer_soft_m": soft,
            "first_corner": claims.first_corner,
            "corners": claims.corners,
        },
    )
    share = _shape_share(p.device_outlier_share[claims.method], claims.confidence)
    made = _made(claims, share, np.maximum(p.device_outlier_scale_m[claims.method], 2 * reach), [block], p)
    made.corner_m = np.stack((claims.corner_e_m, claims.corner_n_m), axis=1)
    return made


def cell_range_m(claims: CellClaims, p: Parameters) -> Floats:
    """Range of each cell, (n,) metres: as stated or the radio's default, grown where samples are few."""
    s = p.cell_shape
    single = (claims.step == CellFallback.SECTOR) | (claims.step == CellFallback.CENTROID)
    single |= claims.step == CellFallback.PHYSICAL_IDENTITY
    stated = np.where(np.isnan(claims.range_m), p.cell_default_range_m[claims.radio], claims.range_m)
    samples = np.where(claims.samples > 0, claims.samples, s["unknown_samples"])
    counted = single & (claims.step != CellFallback.SECTOR) & ~np.isnan(claims.range_m)
    grown = np.where(counted, stated * np.sqrt(1 + s["few_samples"] / samples), stated)
    grown = np.where(claims.neighbour & single, grown * s["neighbour_range_factor"], grown)
    longest = np.where(single, p.cell_longest_range_m[claims.radio], np.inf)
    return np.clip(grown, s["least_range_m"], longest)


def of_cells(claims: CellClaims, p: Parameters) -> Made:
    """Where a phone is that hears each cell: sectors, timing bands, clouds around centroids, wide discs."""
    s = p.cell_shape
    reach = cell_range_m(claims, p)
    moved = _typical_movement_m(claims.age_s, p)
    timed = ~np.isnan(claims.timing_advance) & (claims.step <= CellFallback.PHYSICAL_IDENTITY)
    # A delay beyond what the radio can serve is a wrong reading, not a place.
    delay = claims.timing_advance * p.cell_timing_step_m[claims.radio]
    timed &= np.nan_to_num(delay, nan=np.inf) <= p.cell_longest_range_m[claims.radio] * 1.1
    sector = claims.step == CellFallback.SECTOR
    cloud = ((claims.step == CellFallback.CENTROID) | (claims.step == CellFallback.PHYSICAL_IDENTITY)) & ~timed
    blocks = [
        *_clouds(np.nonzero(cloud)[0], reach, moved, p),
        _areas_served(np.nonzero(sector & ~timed)[0], claims, reach, moved, p),
        _timing_bands(np.nonzero(timed)[0], claims, reach, moved, p),
        _discs(np.nonzero(~cloud & ~sector & ~timed)[0], reach, moved, s["aggregate_soft_share"]),
    ]
    # Rows of few observations are wrong more often, as their ranges are too short.
    centroid = claims.step == CellFallback.CENTROID
    few = np.sqrt(1 + s["few_samples"] / np.where(claims.samples > 0, claims.samples, s["unknown_samples"]))
    share = p.step_outlier_share[claims.step] * np.where(centroid, few, 1.0)
    extent = np.where(timed, np.maximum(reach, np.nan_to_num(delay)), reach)
    scale = p.step_outlier_scale_factor[claims.step] * extent
    return _made(claims, share, np.maximum(scale, 3000.0), [b for b in blocks if len(b.piece)], p)


def _clouds(at: Ints, reach: Floats, moved: Floats, p: Parameters) -> list[_Block]:
    s = p.cell_shape
    zero = np.zeros(len(at))
    return [
        _gaussians(at, np.full(len(at), w), reach[at] * f, reach[at] * f, zero, moved[at] ** 2)
        for w, f in ((1 - s["tail_weight"], s["core_factor"]), (s["tail_weight"], s["tail_factor"]))
    ]


def _opening(at: Ints, claims: CellClaims, p: Parameters) -> dict[str, Floats | Ints]:
    shape = p.cell_shape
    known = ~np.isnan(claims.azimuth_deg[at])
    return {
        "azimuth_deg": np.where(known, claims.azimuth_deg[at], 0.0),
        "half_opening_deg": np.where(known, shape["half_opening_deg"], 180.0),
        "opening_soft_deg": np.full(len(at), shape["opening_soft_deg"]),
    }


def _areas_served(at: Ints, claims: CellClaims, reach: Floats, moved: Floats, p: Parameters) -> _Block:
    """Around a mast, in the direction of its sector where it is known, out to a soft range."""
    s = p.cell_shape
    outer = reach[at]
    soft = np.hypot(outer * s["range_soft_share"] * 0.5, moved[at] * math.sqrt(3) / math.pi)
    # The range is where hardly anyone is left: the soft edge's middle lies below it.
    columns: dict[str, Floats | Ints] = {
        "outer_m": outer * (1 - s["range_soft_share"]),
        "inner_soft_m": soft,
        "outer_soft_m": soft,
    }
    return _Block(at, Family.RING, np.ones(len(at)), columns | _opening(at, claims, p))


def _timing_bands(at: Ints, claims: CellClaims, reach: Floats, moved: Floats, p: Parameters) -> _Block:
    """Bands that a timing advance gives: the way is at most the delay, less what reflections add."""
    s = p.cell_shape
    step = p.cell_timing_step_m[claims.radio[at]]
    delay = claims.timing_advance[at] * step
    # A centroid stands off its mast by an unknown way: the band is blurred by it.
    off = np.where(claims.step[at] == CellFallback.SECTOR, 0.0, reach[at] * s["mast_offset_share"])
    width = math.sqrt(3) / math.pi
    outer_soft = np.hypot(np.hypot(s["timing_soft_m"], off * width), moved[at] * width)
    inner_soft = np.hypot(np.hypot(s["timing_excess_m"] / 2, off * width), moved[at] * width)
    inner = np.maximum(delay - step / 2 - s["timing_excess_m"], 0.0)
    columns: dict[str, Floats | Ints] = {
        # A hole that is narrower than its own blur is no hole.
        "inner_m": np.where(inner > inner_soft, inner, 0.0),
        "outer_m": delay + step / 2,
        "inner_soft_m": inner_soft,
        "outer_soft_m": outer_soft,
    }
    return _Block(at, Family.RING, np.ones(len(at)), columns | _opening(at, claims, p))


def _discs(at: Ints, radius_m: Floats, moved: Floats, soft_share: float) -> _Block:
    soft = np.hypot(radius_m[at] * soft_share / 2, moved[at] * math.sqrt(3) / math.pi)
    columns: dict[str, Floats | Ints] = {
        "outer_m": radius_m[at],
        "inner_soft_m": soft,
        "outer_soft_m": soft,
        "half_opening_deg": np.full(len(at), 180.0),
        "opening_soft_deg": np.ones(len(at)),
    }
    return _Block(at, Family.RING, np.ones(len(at)), columns)


def of_lines(claims: LineClaims, p: Parameters) -> Made:
    """Records' places, by class of service and placement. Lines do not move: they do not age."""
    sigma = np.where(np.isnan(claims.sigma_m), p.placement_sigma_m[claims.placement], claims.sigma_m)
    campus = claims.kind == LINE_KINDS.index("campus")
    sigma = np.where(campus, np.hypot(sigma, p.line_limits["campus_sigma_m"]), sigma)
    sigma = np.clip(sigma, p.device_limits["least_sigma_m"], MOST_SIGMA_M)
    mast = (claims.kind == _MAST) & np.isnan(claims.sigma_m)
    at, disc = np.nonzero(~mast)[0], np.nonzero(mast)[0]
    zero = np.zeros(len(at))
    blocks = [_gaussians(at, np.ones(len(at)), sigma[at], sigma[at], zero, zero)]
    if len(disc):
        radius = np.full(len(mast), p.line_limits["mast_range_m"])
        blocks.append(_discs(disc, radius, np.zeros(len(mast)), p.cell_shape["aggregate_soft_share"]))
    share = p.line_outlier_share[claims.kind]
    scale = np.maximum(p.line_outlier_scale_m[claims.kind], 3 * sigma)
    return _made(claims, share, scale, [b for b in blocks if len(b.piece)], p)


def of_plans(claims: PlanClaims, p: Parameters) -> Made:
    """Discs of countries."""
    n = len(claims.call)
    block = _discs(np.arange(n), claims.radius_m, np.zeros(n), p.cell_shape["aggregate_soft_share"])
    share = np.full(n, p.line_limits["plan_outlier_share"])
    return _made(claims, share, claims.radius_m, [block], p)


def gather(made: list[Made]) -> tuple[Densities, Ints]:
    """All pieces by call and place, and which each is: `order` of the piece, (k,) int64.

    Raises
    ------
    ValueError
        There is no piece at all.
    """
    made = [m for m in made if len(m.pieces.call)]
    pieces = _Pieces(*(np.concatenate([getattr(m.pieces, f.name) for m in made]) for f in fields(_Pieces)))
    # By what they say, not by when they came: sums of the same pieces have the same bits in any order.
    sorting = np.lexsort(
        (
            pieces.order,
            pieces.exponent,
            pieces.outlier_scale_m,
            pieces.outlier_share,
            pieces.longitude_deg,
            pieces.latitude_deg,
            pieces.call,
        )
    )
    place = np.empty(len(sorting), np.int64)
    place[sorting] = np.arange(len(sorting))
    first_piece = np.cumsum([0] + [len(m.pieces.call) for m in made])
    first_corner = np.cumsum([0] + [len(m.corner_m) for m in made])
    blocks = [(i, b) for i, m in enumerate(made) for b in m.blocks]
    piece = np.concatenate([place[b.piece + first_piece[i]] for i, b in blocks])
    rows = np.argsort(piece, kind="stable")
    component = np.zeros((len(piece), len(COMPONENT_COLUMNS)))
    component[:, HALF_OPENING] = 180.0
    start = 0
    for i, b in blocks:
        part = slice(start, start + len(b.piece))
        start += len(b.piece)
        component[part, FAMILY], component[part, WEIGHT] = float(b.family), b.weight
        for name, values in b.columns.items():
            component[part, _NUMBER[name]] = values
        if b.family is Family.POLYGON:
            component[part, FIRST_CORNER] += first_corner[i]
    densities = Densities(
        **{f.name: getattr(pieces, f.name)[sorting] for f in fields(_Pieces) if f.name != "order"},
        piece=piece[rows],
        component=component[rows],
        corner_m=np.concatenate([m.corner_m for m in made]),
    )
    return densities, pieces.order[sorting]

"""Simulated calls: evidence drawn from the very densities that the core uses, around a truth that is known.

If the core fuses, sorts and measures rightly, the truth lies in the p-region of a share p of such calls, for every
family and mixture. It says nothing about whether the densities are like the world: that is measured on drive tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.cell_claims import CellClaims, of_cells
from locsvc.fusion.claims import (
    BandClaims,
    EllipseClaims,
    LineClaims,
    Made,
    PolygonClaims,
    of_bands,
    of_ellipses,
    of_lines,
    of_polygons,
)
from locsvc.fusion.components import signed_distance_m
from locsvc.fusion.densities import (
    AZIMUTH,
    COVARIANCE,
    FAMILY,
    FIRST_ROW,
    HALF_OPENING,
    INNER,
    INNER_SOFT,
    OPENING_SOFT,
    OUTER,
    OUTER_SOFT,
    ROWS,
    VARIANCE_E,
    VARIANCE_N,
    WEIGHT,
    Densities,
    Family,
)
from locsvc.fusion.gathering import gather
from locsvc.fusion.grid import locate
from locsvc.fusion.region import answer, compact
from locsvc.geo import destination, distance_m
from locsvc.learning.held import inside
from locsvc.model import CellFallback, Placement, PositioningMethod, Radio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Maker = Callable[[np.random.Generator, Ints, Parameters], list[Made]]

CHUNK = 64


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of simulated truths inside, for one family and confidence."""

    family: str
    confidence: float
    draws: int
    in_radius: float
    in_region: float
    stated_mass: float
    median_radius_m: float


def _zeros(calls: Ints) -> Floats:
    return np.zeros(len(calls))


def _ellipses(
    calls: Ints, order: int, major_m: Floats, minor_m: Floats, axis_deg: Floats, method: int
) -> EllipseClaims:
    z = _zeros(calls)
    return EllipseClaims(
        calls, np.full(len(calls), order), z, z, z, z + 1, major_m, minor_m, axis_deg, np.full(len(calls), method)
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float, n: int) -> Floats:
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def circle(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A device's circle of 2 m to 2 km."""
    sigma = _log_uniform(rng, 2.0, 2000.0, len(calls))
    return [of_ellipses(_ellipses(calls, 0, sigma, sigma, _zeros(calls), PositioningMethod.GNSS), p)]


def ellipse(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A device's ellipse, up to five times as long as wide."""
    minor = _log_uniform(rng, 5.0, 500.0, len(calls))
    axis = rng.uniform(0, 180, len(calls))
    claims = _ellipses(calls, 0, minor * rng.uniform(1, 5, len(calls)), minor, axis, PositioningMethod.NETWORK)
    return [of_ellipses(claims, p)]


def stale_circle(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A fix of some minutes ago."""
    sigma = _log_uniform(rng, 3.0, 100.0, len(calls))
    claims = _ellipses(calls, 0, sigma, sigma, _zeros(calls), PositioningMethod.GNSS)
    claims.age_s = rng.uniform(0, 600, len(calls))
    return [of_ellipses(claims, p)]


def _cells(
    rng: np.random.Generator, calls: Ints, order: int, step: CellFallback, *, sector: bool = False, timed: bool = False
) -> CellClaims:
    n = len(calls)
    z = _zeros(calls)
    radio = np.full(n, int(Radio.GSM if timed else Radio.LTE))
    return CellClaims(
        calls,
        np.full(n, order),
        z,
        z,
        z,
        z + 1,
        np.full(n, int(step)),
        _log_uniform(rng, 300.0, 30000.0, n),
        rng.integers(1, 200, n).astype(float),
        rng.uniform(0, 360, n) if sector else z + np.nan,
        rng.integers(0, 30, n).astype(float) if timed else z + np.nan,
        radio,
        np.zeros(n, bool),
    )


def disc(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A site's or area's soft disc of up to 30 km."""
    return [of_cells(_cells(rng, calls, 0, CellFallback.AREA), p)]


def centroid(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """The cloud around a centroid of observations."""
    return [of_cells(_cells(rng, calls, 0, CellFallback.CENTROID), p)]


def ring_sector(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A mast with azimuth and timing advance."""
    return [of_cells(_cells(rng, calls, 0, CellFallback.SECTOR, sector=True, timed=True), p)]


def sector(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A mast with azimuth."""
    return [of_cells(_cells(rng, calls, 0, CellFallback.SECTOR, sector=True), p)]


def arc_band(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A location server's arc band."""
    n, z = len(calls), _zeros(calls)
    inner = _log_uniform(rng, 100.0, 8000.0, n)
    half = rng.uniform(10, 180, n)
    half = np.where(half > 170, 180.0, half)
    claims = BandClaims(
        calls, np.zeros(n, np.int64), z, z, z, z + 1, inner, inner * rng.uniform(1.05, 2, n), rng.uniform(0, 360, n),
        half, np.full(n, 0.95), np.full(n, int(PositioningMethod.NETWORK)),
    )  # fmt: skip
    return [of_bands(claims, p)]


def polygon(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A polygon of five corners, often not convex."""
    n, z = len(calls), _zeros(calls)
    size = _log_uniform(rng, 30.0, 3000.0, n)
    corners = 5
    angle = (np.arange(corners) + rng.uniform(-0.3, 0.3, (n, corners))) * (2 * np.pi / corners)
    length = size[:, None] * rng.uniform(0.4, 1.0, (n, corners))
    first = np.arange(n) * corners
    claims = PolygonClaims(
        calls, np.zeros(n, np.int64), z, z, z, z + 1, first, np.full(n, corners), np.full(n, 0.95),
        np.full(n, int(PositioningMethod.NETWORK)), (length * np.sin(angle)).ravel(), (length * np.cos(angle)).ravel(),
    )  # fmt: skip
    return [of_polygons(claims, p)]


def fix_and_wide_cell(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """A 5 m fix and a 30 km cell in one call."""
    five = _zeros(calls) + 5.0 / 1.5096
    cells = _cells(rng, calls, 1, CellFallback.AREA)
    cells.range_m[:] = 30000.0
    return [
        of_ellipses(_ellipses(calls, 0, five, five, _zeros(calls), PositioningMethod.GNSS), p),
        of_cells(cells, p),
    ]


def mixed(rng: np.random.Generator, calls: Ints, p: Parameters) -> list[Made]:
    """Whatever a call may bring: a cell always, fixes and lines for some."""
    n = len(calls)
    some = [calls[rng.random(n) < share] for share in (0.6, 0.3, 0.4, 0.2)]
    fix, wifi, line, second = some
    sigma = [_log_uniform(rng, 3.0, 300.0, len(s)) for s in some]
    steps = rng.choice([CellFallback.CENTROID, CellFallback.SECTOR, CellFallback.AREA, CellFallback.SITE], n)
    cells = _cells(rng, calls, 0, CellFallback.CENTROID, sector=True, timed=False)
    cells.step = steps.astype(np.int64)
    timed = rng.random(n) < 0.3
    cells.timing_advance = np.where(timed, rng.integers(0, 100, n), np.nan)
    z = _zeros(line)
    lines = LineClaims(
        line, np.full(len(line), 3), z, z, z, z + 1, rng.integers(0, 5, len(line)),
        np.full(len(line), int(Placement.RECORD)), z + np.nan,
    )  # fmt: skip
    return [
        of_cells(cells, p),
        of_ellipses(_ellipses(fix, 1, sigma[0], sigma[0], _zeros(fix), PositioningMethod.GNSS), p),
        of_ellipses(_ellipses(wifi, 2, sigma[1], sigma[1], _zeros(wifi), PositioningMethod.WIFI), p),
        of_lines(lines, p),
        of_cells(_cells(rng, second, 4, CellFallback.SECTOR, sector=True), p),
    ]


FAMILIES: Mapping[str, Maker] = {
    "circle": circle,
    "ellipse": ellipse,
    "stale circle": stale_circle,
    "soft disc": disc,
    "centroid": centroid,
    "sector": sector,
    "ring sector": ring_sector,
    "arc band": arc_band,
    "polygon": polygon,
    "5 m fix + 30 km cell": fix_and_wide_cell,
    "mixed": mixed,
}


def draw_offsets(rng: np.random.Generator, d: Densities) -> tuple[Floats, Floats]:
    """Metres east and north, (pieces,), of a truth drawn from each piece's own density, from its centre."""
    pieces = len(d.call)
    first = np.searchsorted(d.piece, np.arange(pieces))
    cumulative = np.cumsum(d.column(WEIGHT))
    base = cumulative[first] - d.component[first, WEIGHT]
    row = np.searchsorted(cumulative, base + rng.random(pieces) * 0.999999, side="right")
    east, north = np.zeros(pieces), np.zeros(pieces)
    for piece, r in enumerate(row.tolist()):
        east[piece], north[piece] = _offset(rng, d, r)
    wrong = rng.random(pieces) < d.outlier_share
    # B holds 1 - 1 / (1 + r^2 / 2 s^2) within r.
    away = d.outlier_scale_m * np.sqrt(2 * (1 / (1 - rng.random(pieces)) - 1))
    angle = rng.uniform(0, 2 * np.pi, pieces)
    return np.where(wrong, away * np.sin(angle), east), np.where(wrong, away * np.cos(angle), north)


def _offset(rng: np.random.Generator, d: Densities, row: int) -> tuple[float, float]:
    if d.component[row, FAMILY] == Family.GAUSSIAN:
        covariance = [
            [d.component[row, VARIANCE_E], d.component[row, COVARIANCE]],
            [d.component[row, COVARIANCE], d.component[row, VARIANCE_N]],
        ]
        e, n = rng.multivariate_normal([0, 0], covariance)
        return float(e), float(n)
    if d.component[row, FAMILY] == Family.RING:
        return _ring_offset(rng, d, row)
    at = slice(int(d.component[row, FIRST_ROW]), int(d.component[row, FIRST_ROW] + d.component[row, ROWS]))
    corner = d.corner_m[at]
    low, high = corner.min(axis=0), corner.max(axis=0)
    soft = float(d.component[row, OUTER_SOFT])
    margin = 12 * soft
    while True:
        e = rng.uniform(low[0] - margin, high[0] + margin, 64)
        n = rng.uniform(low[1] - margin, high[1] + margin, 64)
        inside = np.array([signed_distance_m(x, y, corner) for x, y in zip(e.tolist(), n.tolist(), strict=True)])
        taken = np.nonzero(rng.random(64) < 1 / (1 + np.exp(np.minimum(-inside / soft, 80))))[0]
        if len(taken):
            return float(e[taken[0]]), float(n[taken[0]])


def _ring_offset(rng: np.random.Generator, d: Densities, row: int) -> tuple[float, float]:
    inner, outer = float(d.component[row, INNER]), float(d.component[row, OUTER])
    wi, wo = float(d.component[row, INNER_SOFT]), float(d.component[row, OUTER_SOFT])
    r = np.linspace(0.0, outer + 20 * wo, 4001)
    density = r / (1 + np.exp(np.minimum((r - outer) / wo, 80)))
    if inner > 0:
        density /= 1 + np.exp(np.minimum((inner - r) / wi, 80))
    distance = _from_table(rng, r, density)
    half = np.radians(d.component[row, HALF_OPENING])
    if half >= np.pi:
        bearing = rng.uniform(0, 2 * np.pi)
    else:
        turned = np.linspace(-np.pi, np.pi, 4001)
        soft = np.radians(d.component[row, OPENING_SOFT])
        window = 1 / (1 + np.exp(np.minimum((np.abs(turned) - half) / soft, 80)))
        bearing = np.radians(d.component[row, AZIMUTH]) + _from_table(rng, turned, window)
    return distance * float(np.sin(bearing)), distance * float(np.cos(bearing))


def _from_table(rng: np.random.Generator, x: Floats, density: Floats) -> float:
    cumulative = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    return float(np.interp(rng.random() * cumulative[-1], cumulative, x))


def coverage(family: str, confidence: float, draws: int, seed: int, parameters: Parameters) -> Coverage:
    """Shares of truths inside radius and region over `draws` simulated calls of a family.

    Truths lie all over the inhabited latitudes, on every face of H3's icosahedron.
    """
    rng = np.random.default_rng(seed)
    in_radius = in_region = 0
    mass, radii = [], []
    for start in range(0, draws, CHUNK):
        n = min(CHUNK, draws - start)
        made = FAMILIES[family](rng, np.arange(n), parameters)
        densities, _ = gather(made)
        truth_lat = np.degrees(np.arcsin(rng.uniform(-0.85, 0.9, n)))
        truth_lng = rng.uniform(-180, 180, n)
        east, north = draw_offsets(rng, densities)
        bearing = np.degrees(np.arctan2(-east, -north))
        at = densities.call
        densities.latitude_deg, densities.longitude_deg = destination(
            truth_lat[at], truth_lng[at], bearing, np.hypot(east, north)
        )
        asked = np.full(n, confidence)
        posterior = locate(densities, n, asked)
        answers = answer(posterior, asked)
        cells = compact(posterior.leaves, answers.region_leaves)
        away = distance_m(truth_lat, truth_lng, answers.latitude_deg, answers.longitude_deg)
        in_radius += int(np.count_nonzero(away <= answers.radius_m))
        in_region += sum(inside(cells, i, float(truth_lat[i]), float(truth_lng[i])) for i in range(n))
        mass.append(answers.region_mass)
        radii.append(answers.radius_m)
    return Coverage(
        family,
        confidence,
        draws,
        in_radius / draws,
        in_region / draws,
        float(np.concatenate(mass).mean()),
        float(np.median(np.concatenate(radii))),
    )


__all__ = ["FAMILIES", "Coverage", "coverage", "draw_offsets"]

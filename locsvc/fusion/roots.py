"""The first cells of each call, and the mass that lies outside of them.

Most calls have a narrow piece that the others bear out: their cells start around it, at its scale. Whether that may be
is asked first: the mass inside, against the mass elsewhere, summed over rings, and at the other pieces' places. Where
too much is elsewhere (a lone doubtful piece, a conflict), the cells start large enough for all that anything says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np

from locsvc.fusion import lattice
from locsvc.fusion.densities import HEXAGON_VARIANCE, Densities
from locsvc.fusion.evaluation import Prepared, evaluate, log_all_wrong, prepare
from locsvc.fusion.lattice import FINEST, Frames
from locsvc.geo import SEMI_MAJOR_AXIS_M, latitudes_longitudes, local_axes, unit_vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]

FRAME_FIELDS = ("cell", "face", "turn", "x", "y")
# Finest cells: 0.6 m edge, the end of H3.
FINEST_ANSWER = FINEST
# A disk of two rings reaches this many mean edges from a place in its middle cell, at the least, over the globe.
REACH_TWO_RINGS = 2.2
# Coarsest roots: a pentagon of resolution 2 still lies wholly at sea.
COARSEST_ROOT = 2
MOST_RINGS = 11
FEW_ROOTS, MOST_ROOTS = 64, 448
# Rings around the first cells on which the mass elsewhere is summed, out to so many scales of the wide densities (1e-3
# of one lies beyond) or reaches of the cells, at the most half round the globe.
FAR_RINGS, FAR_BEARINGS = 12, 8
FAR_SCALES, FAR_REACHES = 45.0, 4.0
HALF_ROUND_M = 1.9e7

# Mass that may lie elsewhere when the cells start around the narrowest piece: a quarter of what the confidence leaves
# out, and never more than this, so that the error of its sum (a tenth) stays below half a point...
MOST_ELSEWHERE = 0.03
# ...and at other pieces' places, which an answer would have to show as modes.
MOST_AT_OTHERS = 0.004
# A piece's own place ends at so many sigmas; places that end within so many of the narrowest piece's reaches are taken
# into its cells; and a disk of cells holds all within this part of the radius of a disc as large as it.
PLACE_SIGMAS, NEIGHBOUR_REACHES, COVERED_SURELY = 2.5, 4.0, 0.85


@dataclass(slots=True)
class Seen:
    """A level as evaluated.

    log posterior and sharpness (rows, width) float32, the first -inf where there is no cell; vectors (3, rows, width)
    float32 less the anchors; area_m2 (rows, width) float64.
    """

    log: Floats32
    sharpness: Floats32
    vectors: Floats32
    area_m2: Floats


@dataclass(slots=True)
class Level:
    """Cells to evaluate, one row a call, padded: `valid` tells which are cells; `seen` if they were looked at."""

    calls: Ints  # (rows,)
    frames: Frames  # (rows, width)
    resolution: Ints  # (rows,)
    valid: npt.NDArray[np.bool_]
    seen: Seen | None = None

    def rows(self, at: Ints) -> Level:
        """Some rows of it."""
        s = self.seen
        seen = None if s is None else Seen(s.log[at], s.sharpness[at], s.vectors[:, at], s.area_m2[at])
        return Level(self.calls[at], self.frames.take(at), self.resolution[at], self.valid[at], seen)

    def children(self) -> Level:
        """The seven children of each cell."""
        resolution = self.resolution + 1
        frames = lattice.children(self.frames, resolution)
        return Level(self.calls, frames, resolution, np.repeat(self.valid, 7, axis=1))


def look(prepared: Prepared, level: Level) -> Seen:
    """The level evaluated, densities averaged over its cells."""
    if level.seen is not None:
        return level.seen
    exact, area = lattice.directions_and_areas(level.frames, level.resolution)
    vectors = relative_vectors(exact, prepared.anchor[level.calls])
    seen = evaluate(prepared.of_calls(level.calls), vectors, HEXAGON_VARIANCE * area[:, 0])
    log = seen.log_posterior
    log[~level.valid] = -np.inf
    # What pads a row hides nothing.
    seen.sharpness[~level.valid] = 0
    return Seen(log, seen.sharpness, vectors, area)


@dataclass(slots=True)
class Start:
    """First cells of all calls; log mass (calls,) outside of them, in the units of `evaluate`.

    `narrow` (calls,): the cells are around the narrowest piece only; `support` (pieces,): radius in metres that each
    says something about.
    """

    prepared: Prepared
    levels: list[Level]
    log_elsewhere: Floats
    narrow: npt.NDArray[np.bool_]
    support: Floats


def first_cells(d: Densities, calls: int, confidence: Floats) -> Start:
    """Where the search for each call's posterior starts.

    Parameters
    ----------
    d
        Evidence, at least one piece for each call.
    calls
        Number of calls.
    confidence
        (calls,) float64.
    """
    first = np.searchsorted(d.piece, np.arange(len(d.call)))
    support = np.maximum.reduceat(d.support_m(), first)
    starts = np.searchsorted(d.call, np.arange(calls))
    narrowest = np.lexsort((support, d.call))[starts]
    anchor = unit_vectors(d.latitude_deg[narrowest], d.longitude_deg[narrowest])
    prepared = prepare(d, calls, anchor)
    # Distance from the narrowest piece to where each other one's own place ends.
    off = unit_vectors(d.latitude_deg, d.longitude_deg) - anchor[d.call]
    ends_m = np.sqrt(np.sum(off * off, axis=1)) * SEMI_MAJOR_AXIS_M + PLACE_SIGMAS * np.sqrt(prepared.narrowness_m2)
    own = support[narrowest]
    near = ends_m <= NEIGHBOUR_REACHES * own[d.call]
    around = _around(d, narrowest, np.maximum(own, np.maximum.reduceat(np.where(near, ends_m, 0.0), starts)))
    inside, covered = _log_inside(prepared, around, calls)
    elsewhere, others = _log_outside(prepared, covered, ends_m)
    total = np.logaddexp(np.logaddexp(inside, elsewhere), others)
    narrow = (elsewhere - total <= np.log(allowed_elsewhere(confidence))) & (others - total <= math.log(MOST_AT_OTHERS))
    log_elsewhere = np.logaddexp(elsewhere, others)
    levels = [level.rows(np.nonzero(narrow[level.calls])[0]) for level in around]
    wide = np.nonzero(~narrow)[0]
    if len(wide):
        covering, log_elsewhere[wide] = covering_cells(prepared, wide, support, confidence)
        levels += covering
    return Start(prepared, [lv for lv in levels if len(lv.calls)], log_elsewhere, narrow, support)


def covering_cells(prepared: Prepared, wide: Ints, support: Floats, confidence: Floats) -> tuple[list[Level], Floats]:
    """First cells of the `wide` calls that cover all that their evidence says, and the log mass (wide,) outside."""
    found = _covering(prepared, wide, support, confidence)
    levels = [_padded(wide[rows], [found[i] for i in rows.tolist()]) for rows in _by_width(found)]
    return levels, _log_all_wrong_outside(prepared, levels, len(confidence))[wide]


def _around(d: Densities, narrowest: Ints, reach: Floats) -> list[Level]:
    """Cells around the narrowest piece of each call, out to `reach`; where they are few, their children at once."""
    found = []
    columns = (d.latitude_deg[narrowest], d.longitude_deg[narrowest], reach)
    for lat, lng, radius in zip(*(c.tolist() for c in columns), strict=True):
        resolution, rings = _resolution_and_rings(radius)
        found.append((_without_pentagons(lattice.disk(lat, lng, resolution, rings)), resolution))
    levels = [_padded(rows, [found[i] for i in rows.tolist()]) for rows in _by_width(found)]
    return [level.children() if level.valid.shape[1] <= FEW_ROOTS else level for level in levels]


def _log_inside(prepared: Prepared, levels: list[Level], calls: int) -> tuple[Floats, Floats]:
    """Log mass (calls,) of the cells, and the radius of a disc as large as they are, metres."""
    log, covered = np.empty(calls), np.empty(calls)
    for level in levels:
        level.seen = look(prepared, level)
        log[level.calls] = _log_sum(level.seen.log, level.seen.area_m2)
        covered[level.calls] = _disc_radius_m(level, level.seen.area_m2)
    return log, covered


def allowed_elsewhere(confidence: Floats) -> Floats:
    """Share (calls,) of the mass that may lie outside of cells around the narrowest piece."""
    result: Floats = np.minimum((1 - confidence) / 4, MOST_ELSEWHERE)
    return result


def relative_vectors(vectors: Floats, anchor: Floats) -> Floats32:
    """Unit vectors (3, rows, cells) less the rows' anchors (rows, 3), as float32."""
    result = np.empty(vectors.shape, np.float32)
    for axis in range(3):
        np.subtract(vectors[axis], anchor[:, axis, None], out=result[axis], casting="same_kind")
    return result


def _disc_radius_m(level: Level, area: Floats) -> Floats:
    total = np.cumsum(np.where(level.valid, area, 0.0), axis=1)[:, -1]
    # A cap of the globe: 4 pi R^2 sin^2(angle / 2).
    half = np.arcsin(np.minimum(np.sqrt(total / (4 * math.pi)) / SEMI_MAJOR_AXIS_M, 1.0))
    radius: Floats = 2 * SEMI_MAJOR_AXIS_M * half
    return radius


def _log_sum(log: npt.NDArray[np.floating], area: Floats) -> Floats:
    """Log of the sum of exp(log) * area along each row, term by term: the same for a call alone and in a batch."""
    peak = np.maximum(log.max(axis=1).astype(np.float64), -1e30)
    with np.errstate(divide="ignore"):
        result: Floats = peak + np.log(np.cumsum(np.exp(log - peak[:, None]) * area, axis=1)[:, -1])
    return result


def _rings(prepared: Prepared, covered_m: Floats) -> tuple[Floats, Floats]:
    """Places (calls, places, 3) less the anchor, on rings from where the cells end, and each one's area."""
    d = prepared.densities
    farthest = np.maximum(
        FAR_SCALES * np.maximum.reduceat(d.outlier_scale_m, prepared.first_piece), FAR_REACHES * covered_m
    )
    covered_m = np.minimum(covered_m, HALF_ROUND_M)
    step = np.log(np.clip(farthest, covered_m, HALF_ROUND_M) / covered_m) / FAR_RINGS
    length = covered_m[:, None] * np.exp((np.arange(FAR_RINGS) + 0.5) * step[:, None])
    # A ring's girth is that of its parallel on the globe.
    girth = 2 * math.pi * SEMI_MAJOR_AXIS_M * np.sin(length / SEMI_MAJOR_AXIS_M)
    area = np.repeat(girth * length * step[:, None] / FAR_BEARINGS, FAR_BEARINGS, axis=1)
    # Along the great circle of a bearing: anchor * cos(angle) + direction * sin(angle), less the anchor.
    east, north = local_axes(*latitudes_longitudes(prepared.anchor))
    east /= np.linalg.norm(east, axis=1)[:, None]
    north /= np.linalg.norm(north, axis=1)[:, None]
    bearing = (np.arange(FAR_BEARINGS) + 0.5) * (2 * math.pi / FAR_BEARINGS)
    direction = east[:, None, :] * np.sin(bearing)[:, None] + north[:, None, :] * np.cos(bearing)[:, None]
    angle = length / SEMI_MAJOR_AXIS_M
    place = direction[:, None, :, :] * np.sin(angle)[:, :, None, None]
    # cos - 1 as -2 sin^2 of the half: exact for the small angles that most are.
    place += prepared.anchor[:, None, None, :] * (-2 * np.sin(angle / 2) ** 2)[:, :, None, None]
    return place.reshape(len(length), FAR_RINGS * FAR_BEARINGS, 3), area


def _log_outside(prepared: Prepared, covered_m: Floats, ends_m: Floats) -> tuple[Floats, Floats]:
    """Log mass (calls,) around the cells, and at the other pieces' places that reach beyond them."""
    d = prepared.densities
    calls = len(covered_m)
    rings, area = _rings(prepared, covered_m)
    most = int(prepared.pieces_of_call.max())
    place = np.zeros((calls, FAR_RINGS * FAR_BEARINGS + most, 3))
    place[:, : area.shape[1]] = rings
    number = np.arange(len(d.call)) - prepared.first_piece[d.call]
    center = unit_vectors(d.latitude_deg, d.longitude_deg) - prepared.anchor[d.call]
    place[d.call, area.shape[1] + number] = center
    vectors = np.ascontiguousarray(np.moveaxis(place, 2, 0), dtype=np.float32)
    log = evaluate(prepared.of_calls(np.arange(calls)), vectors, np.zeros(calls)).log_posterior
    # A mode is about as large as a Gaussian of its piece's narrowness; twice that, to be on the safe side.
    size = np.zeros((calls, most))
    # Narrow places that end beyond the cells, and all that stand there; a wide one around the cells is on the rings.
    inner = COVERED_SURELY * covered_m[d.call]
    stands_m = np.sqrt(np.sum(center * center, axis=1)) * SEMI_MAJOR_AXIS_M
    away = (stands_m > inner) | ((ends_m > inner) & (prepared.narrowness_m2 < (inner / 4) ** 2))
    size[d.call, number] = np.where(away, 4 * math.pi * prepared.narrowness_m2, 0.0)
    at_others = _log_sum(log[:, area.shape[1] :], size) if most > 1 else np.full(calls, -np.inf)
    return _log_sum(log[:, : area.shape[1]], area), at_others


def _log_all_wrong_outside(prepared: Prepared, levels: list[Level], calls: int) -> Floats:
    """Log mass (calls,) outside of cells that cover all that the pieces say: all of them wrong."""
    covered = np.ones(calls)
    for level in levels:
        covered[level.calls] = _disc_radius_m(level, lattice.directions_and_areas(level.frames, level.resolution)[1])
    places, area = _rings(prepared, covered)
    return _log_sum(log_all_wrong(prepared, places), area)


def _outlier_reach_m(d: Densities, confidence: Floats) -> Floats:
    """Radius (k,) of the wide density that must be looked at, metres: 0 where the piece is trusted enough.

    The mass e * B outside is kept below a fifth of what the confidence leaves out; B holds 1 - 1 / (1 + r^2 / 2 s^2).
    """
    room = 5 * d.outlier_share / (1 - confidence[d.call])
    result: Floats = d.outlier_scale_m * np.sqrt(2 * np.maximum(room - 1, 0.0))
    return result


def _covering(prepared: Prepared, wide: Ints, support: Floats, confidence: Floats) -> list[tuple[Frames, int]]:
    """Cells of the `wide` calls that cover all that their evidence says."""
    d, starts = prepared.densities, prepared.first_piece
    # The caller is outside all that the evidence says only if all of it is wrong: the most trusted piece decides.
    least = np.minimum.reduceat(d.outlier_share, starts)[d.call]
    reach = np.where(d.outlier_share <= least, np.maximum(support, _outlier_reach_m(d, confidence)), support)
    ends = np.append(starts[1:], len(d.call))
    lat, lng, radii = d.latitude_deg.tolist(), d.longitude_deg.tolist(), reach.tolist()
    pairs = zip(starts[wide].tolist(), ends[wide].tolist(), strict=True)
    return [_roots_of_call(lat[a:b], lng[a:b], radii[a:b]) for a, b in pairs]


def _by_width(found: list[tuple[Frames, int]]) -> list[Ints]:
    """Calls with few first cells, and calls with many: a wide one must not make all rows wide."""
    few = np.array([len(f.cell) for f, _ in found], dtype=np.int64) <= FEW_ROOTS
    return [rows for rows in (np.nonzero(few)[0], np.nonzero(~few)[0]) if len(rows)]


def _padded(calls: Ints, found: list[tuple[Frames, int]]) -> Level:
    shape = (len(found), max(len(f.cell) for f, _ in found))
    # Rows of one length stack as they are; shorter ones are filled up with their first cell.
    count = np.array([len(f.cell) for f, _ in found])
    place = np.arange(shape[1])
    valid = place < count[:, None]
    if valid.all():
        frames = Frames(*(np.stack([getattr(f, name) for f, _ in found]) for name in FRAME_FIELDS))
    else:
        padded = [f.take(np.where(place < n, place, 0)) for (f, _), n in zip(found, count.tolist(), strict=True)]
        frames = Frames(*(np.stack([getattr(f, name) for f in padded]) for name in FRAME_FIELDS))
    return Level(calls, frames, np.array([r for _, r in found]), valid)


def _roots_of_call(lat: list[float], lng: list[float], radii: list[float]) -> tuple[Frames, int]:
    """Cells of one resolution that cover discs, and that resolution."""
    widest = max(range(len(radii)), key=radii.__getitem__)
    resolution, rings = _resolution_and_rings(radii[widest])
    while True:
        disks = [lattice.disk(lat[widest], lng[widest], resolution, rings)]
        covered = _reach_m(resolution, rings)
        for i, r in enumerate(radii):
            if i != widest and _quick_distance_m(lat[i], lng[i], lat[widest], lng[widest]) + r > covered:
                disks.append(lattice.disk(lat[i], lng[i], resolution, 1 if r <= _reach_m(resolution, 1) else rings))
        frames = disks[0] if len(disks) == 1 else _union(disks)
        if len(frames.cell) <= MOST_ROOTS or resolution == COARSEST_ROOT:
            return _without_pentagons(frames), resolution
        # Many places far apart: larger cells, which fewer rings fill.
        resolution, rings = resolution - 1, 2


def _quick_distance_m(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """Great-circle distance, metres; plain floats are ten times faster here than arrays of one."""
    north, east = math.radians(lat2 - lat1) / 2, math.radians(lng2 - lng1) / 2
    half = math.sin(north) ** 2 + math.cos(math.radians(lat1)) * math.cos(math.radians(lat2)) * math.sin(east) ** 2
    return 2 * SEMI_MAJOR_AXIS_M * math.asin(min(1.0, math.sqrt(half)))


def _reach_m(resolution: int, rings: int) -> float:
    """Distance that a disk of `rings` reaches from any place of its middle cell, metres, at the least."""
    return float(lattice.EDGE_M[resolution]) * (REACH_TWO_RINGS + 1.2 * (rings - 2))


def _resolution_and_rings(radius_m: float) -> tuple[int, int]:
    """Finest resolution at which two rings reach `radius_m`; more rings where cells cannot be coarser."""
    for resolution in range(FINEST_ANSWER - 2, COARSEST_ROOT - 1, -1):
        if _reach_m(resolution, 2) >= radius_m:
            return resolution, 2
    rings = 2
    while _reach_m(COARSEST_ROOT, rings) < radius_m and rings < MOST_RINGS:
        rings += 1
    return COARSEST_ROOT, rings


def _union(disks: list[Frames]) -> Frames:
    cell = np.concatenate([f.cell for f in disks])
    _, index = np.unique(cell, return_index=True)
    joined = Frames(
        cell,
        np.concatenate([f.face for f in disks]),
        np.concatenate([f.turn for f in disks]),
        np.concatenate([f.x for f in disks]),
        np.concatenate([f.y for f in disks]),
    )
    return joined.take(index)


_PENTAGONS = frozenset(int(p) for r in range(FINEST + 1) for p in h3.get_pentagons(r))


def _without_pentagons(frames: Frames) -> Frames:
    """The frames less the pentagons, whose children have no common axes: twelve cells, all at sea."""
    keep = np.array([c not in _PENTAGONS for c in frames.cell.tolist()])
    return frames if keep.all() else frames.take(np.nonzero(keep)[0])

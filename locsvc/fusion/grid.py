"""The posterior on H3 cells, coarse to fine: small cells where the caller may be, large ones where hardly.

One pass a level for all calls of a batch. A level's cells are evaluated with densities averaged over the cell; those
that matter are split into their seven children, the others stay as leaves. A call ends when the set that holds the
asked confidence has enough cells and no piece of evidence that may be right hides in a cell larger than itself. So a
5 m fix inside a 30 km cell costs eight levels of a dozen splits, and both ends of the scale are right.

What a call's answer is depends on that call alone, to the last bit, whatever else is in the batch: rows are sorted
and summed by themselves, never by a matrix product.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np

from locsvc.fusion import lattice
from locsvc.fusion.densities import HEXAGON_VARIANCE, Densities, Prepared, evaluate, log_all_wrong, prepare
from locsvc.fusion.lattice import FINEST, Frames
from locsvc.geo import SEMI_MAJOR_AXIS_M, destination, latitudes_longitudes, unit_vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

# Mass of a level that may be left unsplit while the answer is still being closed in on.
TAIL = 1e-3
# Cells that the set of the asked confidence must have: its edge is then about a sixth of its radius, and taking whole
# cells overshoots the confidence by half a cell's mass, below half a point.
ENOUGH_CELLS = 40
# Most cells of a call that are split in one level, and the narrow class that most levels need.
SPLIT_WIDTHS = (12, 24, 64)
SPLIT_WIDE = SPLIT_WIDTHS[-1]
# A cell in which evidence hides is split after the rest is done only while there are few of them.
HIDDEN_CELLS = 64
# A cell with this much of the mass in which evidence hides (Evaluation.sharpness) is split when the rest is done.
HIDDEN_MASS, HIDDEN_SHARPNESS = 2e-3, 0.5
# The lightest cells of each level that together hold less than this part of the mass are dropped.
NEGLIGIBLE = 3e-5
# Finest cells: 0.6 m edge, the end of H3.
FINEST_ANSWER = FINEST
# A disk of two rings reaches this many mean edges from a place in its middle cell, at the least, over the globe.
REACH_TWO_RINGS = 2.2
# Coarsest roots: a pentagon of resolution 2 still lies wholly at sea.
COARSEST_ROOT = 2
MOST_RINGS = 11
FEW_ROOTS = 64
# Rings around the first cells on which the mass elsewhere is summed, out to so many scales of the wide densities (1e-3
# of one lies beyond) or reaches of the cells, at the most half round the globe.
FAR_RINGS, FAR_BEARINGS = 8, 6
FAR_SCALES, FAR_REACHES = 45.0, 4.0
HALF_ROUND_M = 1.9e7


@dataclass(slots=True)
class Leaves:
    """Cells of the posterior, flat; rows of one call stand together, calls ascending, densest cell first.

    call int64; cell uint64; mass float64, summing to 1 a call less what is elsewhere; area_m2 float64; vectors (3, leaves) float32, unit
    vector of the centre less the call's anchor; starts (calls,) int64, first row of each call.
    """

    call: Ints
    cell: Cells
    mass: Floats
    area_m2: Floats
    vectors: Floats32
    starts: Ints

    def ends(self) -> Ints:
        """One past the last row of each call, (calls,) int64."""
        return np.append(self.starts[1:], len(self.call))


@dataclass(slots=True)
class Posterior:
    """Leaves of all calls, and the densities that they came from."""

    leaves: Leaves
    prepared: Prepared


@dataclass(slots=True)
class _Level:
    """Cells to evaluate, one row a call, padded: `valid` tells which are cells."""

    calls: Ints  # (rows,)
    frames: Frames  # (rows, width)
    resolution: Ints  # (rows,)
    valid: npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Progress:
    """What is known of each call while its cells are being refined, (calls,)."""

    log_peak: Floats
    leaf_mass: Floats  # in units of exp(log_peak), elsewhere included
    log_elsewhere: Floats  # mass outside of all cells
    enough: npt.NDArray[np.bool_]
    parts: list[tuple[Ints, Cells, Floats32, Floats, Floats32]]


def locate(densities: Densities, calls: int, confidence: Floats) -> Posterior:
    """The posterior of each call.

    Parameters
    ----------
    densities
        Evidence, at least one piece for each call.
    calls
        Number of calls.
    confidence
        (calls,) float64, asked for each: where the cells must be fine.
    """
    levels, anchor = _roots(densities, calls, confidence)
    prepared = prepare(densities, calls, anchor)
    log_elsewhere = _log_elsewhere(prepared, _covered_m(levels, calls))
    progress = _Progress(log_elsewhere, np.ones(calls), log_elsewhere.copy(), np.zeros(calls, bool), [])
    while levels:
        split: list[tuple[int, _Level]] = []
        for level in levels:
            split += _refine(level, prepared, progress, confidence)
        levels = [_children(width, [lv for w, lv in split if w == width]) for width in sorted({w for w, _ in split})]
    return Posterior(_gather(progress, calls), prepared)


def _outlier_reach_m(d: Densities, confidence: Floats) -> Floats:
    """Radius (k,) of the wide density that must be looked at, metres: 0 where the piece is trusted enough.

    The mass e * B outside is kept below a fifth of what the confidence leaves out; B holds 1 - 1 / (1 + r^2 / 2 s^2).
    """
    room = 5 * d.outlier_share / (1 - confidence[d.call])
    result: Floats = d.outlier_scale_m * np.sqrt(2 * np.maximum(room - 1, 0.0))
    return result


def _covered_m(levels: list[_Level], calls: int) -> Floats:
    """Radius (calls,) of a disc as large as the first cells of each call together, metres."""
    radius = np.empty(calls)
    for level in levels:
        _, area = lattice.directions_and_areas(level.frames, level.resolution)
        radius[level.calls] = np.sqrt(np.cumsum(np.where(level.valid, area, 0.0), axis=1)[:, -1] / math.pi)
    return radius


def _log_elsewhere(prepared: Prepared, covered_m: Floats) -> Floats:
    """Log mass (calls,) outside of the first cells: all pieces wrong, in the units of `evaluate`.

    The product of the wide densities alone, summed over rings around the anchor from where the cells end.
    """
    d = prepared.densities
    farthest = np.maximum(
        FAR_SCALES * np.maximum.reduceat(d.outlier_scale_m, prepared.first_piece), FAR_REACHES * covered_m
    )
    step = np.log(farthest / covered_m) / FAR_RINGS
    length = covered_m[:, None] * np.exp((np.arange(FAR_RINGS) + 0.5) * step[:, None])
    ring_area = 2 * math.pi * length**2 * step[:, None]
    lat, lng = latitudes_longitudes(prepared.anchor)
    bearing = (np.arange(FAR_BEARINGS) + 0.5) * (360.0 / FAR_BEARINGS)
    reach = np.minimum(np.repeat(length, FAR_BEARINGS, axis=1), HALF_ROUND_M)
    place = unit_vectors(*destination(lat[:, None], lng[:, None], np.tile(bearing, FAR_RINGS), reach))
    log = log_all_wrong(prepared, place - prepared.anchor[:, None, :])
    area = np.repeat(ring_area, FAR_BEARINGS, axis=1) / FAR_BEARINGS
    peak = log.max(axis=1)
    # A sum along the row, term by term: the same for a call alone and in a batch.
    total = np.cumsum(np.exp(log - peak[:, None]) * area, axis=1)[:, -1]
    result: Floats = peak + np.log(total)
    return result


def _roots(d: Densities, calls: int, confidence: Floats) -> tuple[list[_Level], Floats]:
    """First cells of each call, which cover what its evidence says, and an anchor near its narrowest piece."""
    first = np.searchsorted(d.piece, np.arange(len(d.call)))
    support = np.maximum.reduceat(d.support_m(), first)
    # The caller is outside all that the evidence says only if all of it is wrong: the most trusted piece decides.
    starts = np.searchsorted(d.call, np.arange(calls))
    reach = np.maximum(support, _outlier_reach_m(d, confidence))
    least = np.minimum.reduceat(d.outlier_share, starts)[d.call]
    support = np.where(d.outlier_share <= least, reach, support)
    ends = np.append(starts[1:], len(d.call))
    anchor = np.empty((calls, 3))
    found: list[tuple[Frames, int]] = []
    lat, lng, radii = d.latitude_deg.tolist(), d.longitude_deg.tolist(), support.tolist()
    for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
        found.append(_roots_of_call(lat[a:b], lng[a:b], radii[a:b]))
    narrowest = starts + np.array([int(np.argmin(support[a:b])) for a, b in zip(starts, ends, strict=True)])
    anchor[:] = unit_vectors(d.latitude_deg[narrowest], d.longitude_deg[narrowest])
    return [_padded(rows, [found[i] for i in rows.tolist()]) for rows in _by_width(found)], anchor


def _by_width(found: list[tuple[Frames, int]]) -> list[Ints]:
    """Calls with few first cells, and calls with many: a wide one must not make all rows wide."""
    counts = np.array([len(f.cell) for f, _ in found])
    few = counts <= FEW_ROOTS
    return [rows for rows in (np.nonzero(few)[0], np.nonzero(~few)[0]) if len(rows)]


def _padded(calls: Ints, found: list[tuple[Frames, int]]) -> _Level:
    shape = (len(found), max(len(f.cell) for f, _ in found))
    frames = Frames(
        np.zeros(shape, np.uint64),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape),
        np.zeros(shape),
    )
    valid = np.zeros(shape, bool)
    for row, (f, _) in enumerate(found):
        n = len(f.cell)
        frames.cell[row, :n], frames.face[row, :n], frames.turn[row, :n] = f.cell, f.face, f.turn
        frames.x[row, :n], frames.y[row, :n] = f.x, f.y
        valid[row, :n] = True
    return _Level(calls, frames, np.array([r for _, r in found]), valid)


def _roots_of_call(lat: list[float], lng: list[float], radii: list[float]) -> tuple[Frames, int]:
    """Cells of one resolution that cover discs, and that resolution."""
    widest = max(range(len(radii)), key=radii.__getitem__)
    radius = radii[widest]
    resolution, rings = _resolution_and_rings(radius)
    disks = [lattice.disk(lat[widest], lng[widest], resolution, rings)]
    covered = _reach_m(resolution, rings)
    for i, r in enumerate(radii):
        if i == widest:
            continue
        apart = _quick_distance_m(lat[i], lng[i], lat[widest], lng[widest])
        if apart + r > covered:
            disks.append(lattice.disk(lat[i], lng[i], resolution, 1 if r <= _reach_m(resolution, 1) else rings))
    frames = disks[0] if len(disks) == 1 else _union(disks)
    return _without_pentagons(frames), resolution


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


def _refine(level: _Level, prepared: Prepared, progress: _Progress, confidence: Floats) -> list[tuple[int, _Level]]:
    """Evaluates a level, keeps its leaves in `progress`; what to split, with the width that it needs."""
    calls, valid = level.calls, level.valid
    exact, area = lattice.directions_and_areas(level.frames, level.resolution)
    vectors = np.empty(exact.shape, np.float32)
    for axis in range(3):
        np.subtract(exact[axis], prepared.anchor[calls, axis][:, None], out=vectors[axis], casting="same_kind")
    step_area = area[:, 0]
    seen = evaluate(prepared.of_calls(calls), vectors, HEXAGON_VARIANCE * step_area)
    log = np.where(valid, seen.log_posterior, np.float32(-np.inf))
    peak = np.maximum(progress.log_peak[calls], log.max(axis=1))
    leaf_mass = progress.leaf_mass[calls] * np.exp(progress.log_peak[calls] - peak)
    progress.log_peak[calls] = peak
    mass = np.exp(log - peak.astype(np.float32)[:, None]) * area.astype(np.float32)
    order, cumulative = _sorted_by_mass(mass)
    total = cumulative[:, -1] + leaf_mass
    wanted = confidence[calls]
    needed = np.count_nonzero(cumulative < (wanted * total)[:, None], axis=1) + 1
    closing = np.count_nonzero(cumulative < ((1 - TAIL) * total)[:, None], axis=1) + 1
    at_end = level.resolution >= FINEST_ANSWER
    enough = progress.enough[calls] | (needed >= ENOUGH_CELLS) | at_end
    # Cells in which something hides, as a mask in the order of mass.
    sorted_mass = np.take_along_axis(mass, order, axis=1)
    hidden = (np.take_along_axis(seen.sharpness, order, axis=1) > HIDDEN_SHARPNESS) & (
        sorted_mass > (HIDDEN_MASS * total)[:, None]
    )
    few = np.count_nonzero(hidden, axis=1) <= HIDDEN_CELLS
    hidden &= (few & ~at_end)[:, None]
    rank = np.arange(mass.shape[1])
    split = np.where(enough[:, None], hidden, rank < np.minimum(closing, SPLIT_WIDE)[:, None])
    split &= sorted_mass > 0
    progress.enough[calls] = enough
    leaf = ~split & (cumulative - sorted_mass < ((1 - NEGLIGIBLE) * cumulative[:, -1])[:, None])
    progress.leaf_mass[calls] = leaf_mass + np.cumsum(np.where(leaf, sorted_mass, 0), axis=1, dtype=float)[:, -1]
    _keep_leaves(progress, level, leaf, order, log, area, vectors)
    return _split(level, split, order)


def _sorted_by_mass(mass: Floats32) -> tuple[Ints, Floats]:
    """Order (rows, cells) of falling mass, ties by place, and the cumulative mass in it, float64."""
    width = mass.shape[1]
    # A float32 above 0 sorts like its bits; one sort of (bits, place) is seven times faster than argsort.
    key = (mass.view(np.uint32).astype(np.uint64) << np.uint64(32)) | np.arange(width - 1, -1, -1, dtype=np.uint64)
    key.sort(axis=1)
    key = key[:, ::-1]
    order = (width - 1 - (key & np.uint64(0xFFFFFFFF)).astype(np.int64)).astype(np.int64)
    value = (key >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return order, np.cumsum(value, axis=1, dtype=np.float64)


def _keep_leaves(
    progress: _Progress,
    level: _Level,
    leaf: npt.NDArray[np.bool_],
    order: Ints,
    log: Floats32,
    area: Floats,
    vectors: Floats32,
) -> None:
    row, place = np.nonzero(leaf)
    column = order[row, place]
    progress.parts.append(
        (
            level.calls[row],
            level.frames.cell[row, column],
            log[row, column],
            area[row, column],
            vectors[:, row, column],
        )
    )


def _split(level: _Level, split: npt.NDArray[np.bool_], order: Ints) -> list[tuple[int, _Level]]:
    """Cells to split, packed to the left, in one or two widths."""
    count = np.count_nonzero(split, axis=1)
    result = []
    for fewer, width in itertools.pairwise((0, *SPLIT_WIDTHS)):
        rows = np.nonzero((count > fewer) & (count <= width))[0]
        if not len(rows):
            continue
        chosen = split[rows]
        # A stable sort of "not chosen" packs the chosen ones to the left in their order.
        packed = np.argsort(~chosen, axis=1, kind="stable")[:, :width]
        column = np.take_along_axis(order[rows], packed, axis=1)
        at = (rows[:, None], column)
        valid = np.arange(packed.shape[1]) < count[rows][:, None]
        result.append((width, _Level(level.calls[rows], level.frames.take(at), level.resolution[rows], valid)))
    return result


def _children(width: int, levels: list[_Level]) -> _Level:
    """The children of what was split, as one level."""
    padded = [_widened(lv, width) for lv in levels]
    frames = Frames(
        *(np.concatenate([getattr(lv.frames, a) for lv in padded]) for a in ("cell", "face", "turn", "x", "y"))
    )
    resolution = np.concatenate([lv.resolution for lv in padded]) + 1
    valid = np.repeat(np.concatenate([lv.valid for lv in padded]), 7, axis=1)
    return _Level(np.concatenate([lv.calls for lv in padded]), lattice.children(frames, resolution), resolution, valid)


def _widened(level: _Level, width: int) -> _Level:
    missing = width - level.valid.shape[1]
    if not missing:
        return level
    pad = ((0, 0), (0, missing))
    f = level.frames
    frames = Frames(np.pad(f.cell, pad), np.pad(f.face, pad), np.pad(f.turn, pad), np.pad(f.x, pad), np.pad(f.y, pad))
    return _Level(level.calls, frames, level.resolution, np.pad(level.valid, pad))


def _gather(progress: _Progress, calls: int) -> Leaves:
    """All leaves with their final masses, by call and falling density."""
    call, cell, log, area, vectors = (np.concatenate([p[i] for p in progress.parts], axis=-1) for i in range(5))
    density = np.exp(log - progress.log_peak.astype(np.float32)[call]).astype(np.float32)
    key = (call.astype(np.uint64) << np.uint64(32)) | (
        np.uint64(0xFFFFFFFF) - density.view(np.uint32).astype(np.uint64)
    )
    # Equal densities are put in order by index, so that the answer does not hang on the order of levels.
    order = np.lexsort((cell, key)) if len(key) < 2 else _stable_order(key, cell)
    call, cell, area, vectors = call[order], cell[order], area[order], vectors[:, order]
    mass = density[order] * area
    starts = np.searchsorted(call, np.arange(calls))
    total = np.add.reduceat(mass, starts) + np.exp(progress.log_elsewhere - progress.log_peak)
    return Leaves(call, cell, mass / total[call], area, vectors, starts)


def _stable_order(key: npt.NDArray[np.uint64], cell: Cells) -> Ints:
    order = np.argsort(key, kind="stable")
    sorted_key = key[order]
    tied = np.nonzero(sorted_key[1:] == sorted_key[:-1])[0]
    if len(tied):
        order = np.lexsort((cell, key))
    return order.astype(np.int64)

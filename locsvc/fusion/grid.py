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
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from locsvc.fusion.densities import Densities, Prepared
from locsvc.fusion.lattice import Frames
from locsvc.fusion.roots import FINEST_ANSWER, FRAME_FIELDS, Level, Seen, first_cells, look

_Number = TypeVar("_Number", bound=np.generic)

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
# Where more cells than can be split hide a piece (a thin ring), those are looked into that hide more than one.
SHARPER = 1.2
# A leaf with this much of the mass of the finished call is too large: what it was left for has gone.
HEAVY_LEAF = 0.06
# The lightest cells of each level that together hold less than this part of the mass are dropped.
NEGLIGIBLE = 3e-4
# Rounds of opening leaves again, at the most: each makes the leaves that are too large smaller.
MOST_ROUNDS = 6


@dataclass(slots=True)
class Leaves:
    """Cells of the posterior, flat; rows of one call stand together, calls ascending, densest cell first.

    call int64; cell uint64; mass float64, summing to 1 a call less what is elsewhere; area_m2 float64;
    vectors (3, leaves) float32, unit vector of the centre less the call's anchor; starts (calls,) int64, first row of
    each call.
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
class _Part:
    """Leaves of one level: `row` and `column` in it, `alive` until they are opened again."""

    level: Level
    seen: Seen
    row: Ints
    column: Ints
    alive: npt.NDArray[np.bool_]

    def of(self, values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """The leaves' part of (rows, width) or (3, rows, width) values."""
        return values[..., self.row, self.column]


@dataclass(slots=True)
class _Progress:
    """What is known of each call while its cells are being refined, (calls,)."""

    log_peak: Floats
    leaf_mass: Floats  # in units of exp(log_peak), with what is elsewhere and what was dropped
    enough: npt.NDArray[np.bool_]
    wide: npt.NDArray[np.bool_]  # calls that started wide: no piece's own place may be missed in a large cell
    parts: list[_Part]


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
    start = first_cells(densities, calls, confidence)
    prepared, levels = start.prepared, start.levels
    progress = _Progress(start.log_elsewhere, np.ones(calls), np.zeros(calls, bool), start.wide, [])
    for _ in range(MOST_ROUNDS):
        while levels:
            split: list[tuple[int, Level]] = []
            for level in levels:
                split += _refine(level, prepared, progress, confidence)
            levels = _next_levels(split)
        levels = _next_levels(_reopened(progress))
        if not levels:
            break
    return Posterior(_gather(progress, calls), prepared)


def _next_levels(split: list[tuple[int, Level]]) -> list[Level]:
    """The children of what was split, one level a width."""
    return [_children(width, [lv for w, lv in split if w == width]) for width in sorted({w for w, _ in split})]


def _refine(level: Level, prepared: Prepared, progress: _Progress, confidence: Floats) -> list[tuple[int, Level]]:
    """Evaluates a level, keeps its leaves in `progress`; what to split, with the width that it needs."""
    calls, seen = level.calls, look(prepared, level)
    log, area = seen.log, seen.area_m2
    peak = np.maximum(progress.log_peak[calls], log.max(axis=1))
    leaf_mass = progress.leaf_mass[calls] * np.exp(progress.log_peak[calls] - peak)
    progress.log_peak[calls] = peak
    mass = np.exp(log - peak.astype(np.float32)[:, None]) * area.astype(np.float32)
    order, cumulative = _sorted_by_mass(mass)
    total = cumulative[:, -1] + leaf_mass
    # Cells that the asked set needs: no more than there are, whatever pads the row.
    real = cumulative < (confidence[calls] * total)[:, None]
    needed = np.count_nonzero(real & np.take_along_axis(level.valid, order, axis=1), axis=1) + 1
    closing = np.count_nonzero(cumulative < ((1 - TAIL) * total)[:, None], axis=1) + 1
    at_end = level.resolution >= FINEST_ANSWER
    enough = progress.enough[calls] | (needed >= ENOUGH_CELLS) | at_end
    sorted_mass = np.take_along_axis(mass, order, axis=1)
    hidden = _hiding(np.take_along_axis(seen.sharpness, order, axis=1), sorted_mass, total, progress.wide[calls])
    split = hidden | (~enough[:, None] & (np.arange(mass.shape[1]) < np.minimum(closing, SPLIT_WIDE)[:, None]))
    split &= (np.take_along_axis(level.valid, order, axis=1)) & ~at_end[:, None]
    # The heaviest come first, what merely hides something last: a full row loses the least.
    split &= np.cumsum(split, axis=1) <= SPLIT_WIDE
    progress.enough[calls] = enough
    leaf = ~split & (cumulative - sorted_mass < ((1 - NEGLIGIBLE) * cumulative[:, -1])[:, None])
    progress.leaf_mass[calls] = leaf_mass + np.cumsum(np.where(split, 0, sorted_mass), axis=1, dtype=float)[:, -1]
    _keep_leaves(progress, level, leaf, order, seen)
    return _split(level, split, order)


def _hiding(sharpness: Floats32, mass: Floats32, total: Floats, wide: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Cells (rows, cells) in which evidence hides that is narrower than they are.

    Averages of single densities, multiplied, are not the average of the product: where two narrow pieces share a large
    cell, its mass is wrong by orders of magnitude either way. So calls that start wide look into every such cell.
    """
    sharp = sharpness > HIDDEN_SHARPNESS
    heavy = sharp & (mass > (HIDDEN_MASS * total)[:, None])
    heavy &= (np.count_nonzero(heavy, axis=1) <= HIDDEN_CELLS)[:, None]
    many = np.count_nonzero(sharp, axis=1) > HIDDEN_CELLS
    sharpest = np.where(many[:, None], sharpness > SHARPER, sharp)
    return heavy | (sharpest & wide[:, None])


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


def _keep_leaves(progress: _Progress, level: Level, leaf: npt.NDArray[np.bool_], order: Ints, seen: Seen) -> None:
    row, place = np.nonzero(leaf)
    progress.parts.append(_Part(level, seen, row, order[row, place], np.ones(len(row), bool)))


def _reopened(progress: _Progress) -> list[tuple[int, Level]]:
    """Leaves that turn out too large for their call, as levels to be split: their mass is taken back.

    A leaf was left for its small part of the mass; when the rest shrinks in a closer look, it no longer is.
    """
    parts = progress.parts
    call = np.concatenate([p.level.calls[p.row] for p in parts])
    log = np.concatenate([p.of(p.seen.log) for p in parts])
    area = np.concatenate([p.of(p.seen.area_m2) for p in parts])
    sharpness = np.concatenate([p.of(p.seen.sharpness) for p in parts])
    resolution = np.concatenate([p.level.resolution[p.row] for p in parts])
    alive = np.concatenate([p.alive for p in parts])
    mass = np.exp(log - progress.log_peak.astype(np.float32)[call]).astype(np.float64) * area
    part = mass / progress.leaf_mass[call]
    heavy = part > HEAVY_LEAF
    wanted = (heavy | ((sharpness > HIDDEN_SHARPNESS) & (part > HIDDEN_MASS))) & alive & (resolution < FINEST_ANSWER)
    # A thin ring hides in more cells than are worth it.
    wanted &= heavy | (np.bincount(call[wanted], minlength=len(progress.enough))[call] <= HIDDEN_CELLS)
    if not wanted.any():
        return []
    # A level has one resolution a call: the coarsest first, the others in the next round.
    coarsest = np.full(len(progress.enough), FINEST_ANSWER + 1)
    np.minimum.at(coarsest, call[wanted], resolution[wanted])
    wanted &= resolution == coarsest[call]
    at = np.nonzero(wanted)[0]
    at = at[np.lexsort((-mass[at], call[at]))]
    rank = np.arange(len(at)) - np.searchsorted(call[at], call[at])
    at, rank = at[rank < SPLIT_WIDE], rank[rank < SPLIT_WIDE]
    np.subtract.at(progress.leaf_mass, call[at], mass[at])
    progress.enough[call[at[heavy[at]]]] = False
    _forget(progress, at)
    return _as_levels(parts, at, call, rank, coarsest)


def _forget(progress: _Progress, at: Ints) -> None:
    """Marks leaves, numbered through all parts, as opened."""
    start = 0
    for p in progress.parts:
        mine = at[(at >= start) & (at < start + len(p.row))] - start
        p.alive[mine] = False
        start += len(p.row)


def _as_levels(parts: list[_Part], at: Ints, call: Ints, rank: Ints, resolution: Ints) -> list[tuple[int, Level]]:
    """Leaves as rows of a level, one row a call."""
    flat = Frames(*(np.concatenate([p.of(getattr(p.level.frames, n)) for p in parts]) for n in FRAME_FIELDS))
    calls, row = np.unique(call[at], return_inverse=True)
    width = next(w for w in SPLIT_WIDTHS if w > int(rank.max()))
    pick = np.zeros((len(calls), width), np.int64)
    # What pads a row is its first cell.
    pick[:] = at[rank == 0][:, None]
    pick[row, rank] = at
    valid = np.zeros(pick.shape, bool)
    valid[row, rank] = True
    return [(width, Level(calls, flat.take(pick), resolution[calls], valid))]


def _split(level: Level, split: npt.NDArray[np.bool_], order: Ints) -> list[tuple[int, Level]]:
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
        result.append((width, Level(level.calls[rows], level.frames.take(at), level.resolution[rows], valid)))
    return result


def _children(width: int, levels: list[Level]) -> Level:
    """The children of what was split, as one level."""
    padded = [_widened(lv, width) for lv in levels]
    frames = Frames(
        *(np.concatenate([getattr(lv.frames, a) for lv in padded]) for a in ("cell", "face", "turn", "x", "y"))
    )
    calls, resolution, valid = (
        np.concatenate([getattr(lv, name) for lv in padded]) for name in ("calls", "resolution", "valid")
    )
    return Level(calls, frames, resolution, valid).children()


def _widened(level: Level, width: int) -> Level:
    missing = width - level.valid.shape[1]
    if not missing:
        return level
    # The last cell is repeated: what pads a row stays near its cells, which keeps it on one face.
    f = level.frames
    frames = f.take((np.arange(len(f.cell))[:, None], np.minimum(np.arange(width), f.cell.shape[1] - 1)[None, :]))
    return Level(level.calls, frames, level.resolution, np.pad(level.valid, ((0, 0), (0, missing))))


def _gather(progress: _Progress, calls: int) -> Leaves:
    """All leaves with their final masses, by call and falling density."""
    parts = progress.parts
    call = np.concatenate([p.level.calls[p.row][p.alive] for p in parts])
    cell = np.concatenate([p.of(p.level.frames.cell)[p.alive] for p in parts])
    log = np.concatenate([p.of(p.seen.log)[p.alive] for p in parts])
    area = np.concatenate([p.of(p.seen.area_m2)[p.alive] for p in parts])
    vectors = np.concatenate([p.of(p.seen.vectors)[:, p.alive] for p in parts], axis=1)
    density = np.exp(log - progress.log_peak.astype(np.float32)[call]).astype(np.float32)
    order = order_within_calls(call, np.uint32(0xFFFFFFFF) - density.view(np.uint32))
    call, cell, area, vectors = call[order], cell[order], area[order], vectors[:, order]
    mass = density[order] * area
    starts = np.searchsorted(call, np.arange(calls))
    return Leaves(call, cell, mass / progress.leaf_mass[call], area, vectors, starts)


def order_within_calls(call: Ints, value: npt.NDArray[np.uint32]) -> Ints:
    """Order by call, then by value, then as given: a total order, so that equal values cannot fall either way.

    Parameters
    ----------
    call
        (n,) int64, from 0.
    value
        (n,) uint32; the bits of a float32 of 0 or more are in the order of the floats.

    >>> order_within_calls(np.array([1, 0, 0, 0]), np.array([5, 7, 2, 7], np.uint32)).tolist()
    [2, 1, 3, 0]
    """
    place_bits = len(call).bit_length()
    if int(call.max()).bit_length() + 32 + place_bits > 64:
        return np.lexsort((value, call))
    # Keys without ties let numpy take its fast unstable sort.
    key = (call.astype(np.uint64) << np.uint64(32 + place_bits)) | (value.astype(np.uint64) << np.uint64(place_bits))
    result: Ints = np.argsort(key | np.arange(len(call), dtype=np.uint64))
    return result

"""The posterior on H3 cells, coarse to fine: small cells where the caller may be, large ones where hardly.

One pass a level for all calls of a batch. A level's cells are evaluated with densities averaged over the cell; those
that matter are split into their seven children, the others stay as leaves. A call ends when the set that holds the
asked confidence has enough cells and no piece of evidence that may be right hides in a cell larger than itself. So a
5 m fix inside a 30 km cell costs eight levels of a dozen splits, and both ends of the scale are right. A leaf that was
light beside a mass which a closer look dissolves is opened again.

What a call's answer is depends on that call alone, to the last bit, whatever else is in the batch: rows are sorted
and summed by themselves, never by a matrix product.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.densities import Densities
from locsvc.fusion.evaluation import Prepared
from locsvc.fusion.lattice import Frames
from locsvc.fusion.leaves import LeafPool, Leaves
from locsvc.fusion.roots import (
    FINEST_ANSWER,
    FRAME_FIELDS,
    Level,
    Start,
    allowed_elsewhere,
    covering_cells,
    first_cells,
    look,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

# Mass of a level that may be left unsplit while the answer is still being closed in on.
TAIL = 1e-3
# Of what the confidence leaves out this part may be left in the larger cells, in the last level and before it.
LAST_TAIL, CLOSING_TAIL = 0.25, 0.1
# Cells that the set of the asked confidence must have, 40 to 280: a cell's edge is then a quarter to a tenth of its
# radius, and taking whole cells overshoots the confidence by half a cell's mass, some 0.2 points.
ENOUGH_CELLS = 40
# Most cells of a call that are split in one level, and the narrow class that most levels need.
SPLIT_WIDTHS = (12, 24, 40, 64)
SPLIT_WIDE = SPLIT_WIDTHS[-1]
# A cell in which evidence hides is split after the rest is done only while there are few of them.
HIDDEN_CELLS = 64
# A cell with this much of the mass in which evidence hides (Evaluation.sharpness) is split when the rest is done.
HIDDEN_MASS, HIDDEN_SHARPNESS = 2e-3, 0.5
# Where more cells than can be split hide a piece (a thin ring), those are looked into that hide more than one.
SHARPER = 1.2
# A leaf with this much of the mass of the finished call is too large: what it was left for has gone.
HEAVY_LEAF = 0.06
# Cells below this part of the mass of their level are dropped at once.
NOTHING = 1e-10
# Beyond this the leaves are all that counts; more would overflow.
MOST_EXPONENT = 80.0
# A call starts again when so many times the mass that it was let start with is elsewhere in the end.
LOST = 1.5
# Rounds of opening leaves again, at the most: each makes the leaves that are too large smaller.
MOST_ROUNDS = 6


@dataclass(slots=True)
class Posterior:
    """Leaves of all calls, and the densities that they came from."""

    leaves: Leaves
    prepared: Prepared


@dataclass(slots=True)
class _Progress:
    """What is known of each call while its cells are being refined."""

    log_leaves: Floats  # (calls,) log mass of all leaves, and of what lies outside of all cells
    enough: npt.NDArray[np.bool_]  # (calls,) the asked set has cells enough
    pool: LeafPool


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
    prepared = start.prepared
    progress = _Progress(start.log_elsewhere.copy(), np.zeros(calls, bool), LeafPool(start.log_elsewhere))
    _run(start.levels, prepared, progress, confidence, np.ones(calls, bool))
    lost = _lost(start, progress, confidence)
    if len(lost):
        # What stood inside has dissolved in a closer look: these calls start again, wide.
        levels, log_elsewhere = covering_cells(prepared, lost, start.support, confidence)
        progress.pool.forget(lost, log_elsewhere)
        progress.log_leaves[lost] = log_elsewhere
        progress.enough[lost] = False
        # Only these: a call that is done must not be looked at again because of its neighbours in the batch.
        again = np.zeros(calls, bool)
        again[lost] = True
        _run(levels, prepared, progress, confidence, again)
    return Posterior(progress.pool.leaves(), prepared)


def _run(
    levels: list[Level], prepared: Prepared, progress: _Progress, confidence: Floats, which: npt.NDArray[np.bool_]
) -> None:
    """Refines until nothing is left to be split, and opens leaves again that turn out too large.

    `which` (calls,) tells whose leaves may be opened. What the last round opens is still looked into.
    """
    for round_ in range(MOST_ROUNDS):
        while levels:
            split: list[tuple[int, Level]] = []
            for level in levels:
                split += _refine(level, prepared, progress, confidence)
            levels = _next_levels(split)
        if round_ + 1 < MOST_ROUNDS:
            levels = _next_levels(_reopened(progress, which))
        if not levels:
            break


def _lost(start: Start, progress: _Progress, confidence: Floats) -> Ints:
    """Calls that started narrow and have far more mass elsewhere than they were let start with."""
    _, log_total, _ = progress.pool.known()
    elsewhere = np.exp(progress.pool.log_elsewhere - log_total)
    return np.nonzero(start.narrow & (elsewhere > LOST * allowed_elsewhere(confidence)))[0]


def _next_levels(split: list[tuple[int, Level]]) -> list[Level]:
    """The children of what was split, one level a width."""
    return [_children(width, [lv for w, lv in split if w == width]) for width in sorted({w for w, _ in split})]


def _refine(level: Level, prepared: Prepared, progress: _Progress, confidence: Floats) -> list[tuple[int, Level]]:
    """Evaluates a level, keeps its leaves in `progress`; what to split, with the width that it needs."""
    calls, seen = level.calls, look(prepared, level)
    # Masses in units of the level's own peak: a call's may fall by orders of magnitude from one level to the next.
    peak = seen.log.max(axis=1)
    mass = np.exp(seen.log - peak[:, None]) * seen.area_m2.astype(np.float32)
    order, cumulative = _sorted_by_mass(mass)
    here = cumulative[:, -1]
    total = here + np.exp(np.minimum(progress.log_leaves[calls] - peak, MOST_EXPONENT))
    # Cells that the asked set needs: no more than there are, whatever pads the row.
    real = cumulative < (confidence[calls] * total)[:, None]
    needed = np.count_nonzero(real & np.take_along_axis(level.valid, order, axis=1), axis=1) + 1
    # Cells to split: nearly all of the mass; when the next level will be the last, what is well around the asked set.
    last = 7 * needed >= ENOUGH_CELLS
    tail = np.where(last, LAST_TAIL, CLOSING_TAIL) * (1 - confidence[calls])
    tail = np.where(last, tail, np.minimum(TAIL, tail))
    closing = np.count_nonzero(cumulative < (here - tail * total)[:, None], axis=1) + 1
    at_end = level.resolution >= FINEST_ANSWER
    enough = progress.enough[calls] | (needed >= ENOUGH_CELLS) | at_end
    sorted_mass = np.take_along_axis(mass, order, axis=1)
    hidden = _hiding(np.take_along_axis(seen.sharpness, order, axis=1), sorted_mass, total)
    split = hidden | (~enough[:, None] & (np.arange(mass.shape[1]) < np.minimum(closing, SPLIT_WIDE)[:, None]))
    split &= (np.take_along_axis(level.valid, order, axis=1)) & ~at_end[:, None]
    # The heaviest come first, what merely hides something last: a full row loses the least.
    split &= np.cumsum(split, axis=1) <= SPLIT_WIDE
    progress.enough[calls] = enough
    # What is light beside a peak that a closer look dissolves may not be light: hardly anything is dropped yet.
    leaf = ~split & (sorted_mass > (NOTHING * here)[:, None])
    kept = np.cumsum(np.where(leaf, sorted_mass, 0), axis=1, dtype=float)[:, -1]
    with np.errstate(divide="ignore"):
        progress.log_leaves[calls] = np.logaddexp(progress.log_leaves[calls], peak + np.log(kept))
    progress.pool.keep(level, seen, leaf, order)
    return _split(level, split, order)


def _reopened(progress: _Progress, which: npt.NDArray[np.bool_]) -> list[tuple[int, Level]]:
    """Leaves of the calls in `which` that turn out too large for their call, as levels to be split.

    A leaf was left for its small part of the mass; when the rest shrinks in a closer look, it no longer is.
    """
    pool = progress.pool
    flat, log_total, part = pool.known()
    calls = len(progress.enough)
    heavy = part > HEAVY_LEAF
    wanted = heavy | ((flat.sharpness > HIDDEN_SHARPNESS) & (part > HIDDEN_MASS))
    wanted &= (flat.resolution < FINEST_ANSWER) & which[flat.call]
    # A thin ring hides in more cells than are worth it.
    wanted &= heavy | (np.bincount(flat.call[wanted], minlength=calls)[flat.call] <= HIDDEN_CELLS)
    if not wanted.any():
        return []
    # A level has one resolution a call: the coarsest first, the others in the next round.
    coarsest = np.full(calls, FINEST_ANSWER)
    np.minimum.at(coarsest, flat.call[wanted], flat.resolution[wanted])
    wanted &= flat.resolution == coarsest[flat.call]
    at = np.nonzero(wanted)[0]
    at = at[np.lexsort((-part[at], flat.call[at]))]
    rank = np.arange(len(at)) - np.searchsorted(flat.call[at], flat.call[at])
    at, rank = at[rank < SPLIT_WIDE], rank[rank < SPLIT_WIDE]
    progress.enough[flat.call[at[heavy[at]]]] = False
    left = np.ones(calls)
    np.subtract.at(left, flat.call[at], part[at])
    progress.log_leaves = log_total + np.log(np.maximum(left, 1e-12))
    frames = pool.open(flat, at)
    return _as_levels(frames, flat.call[at], rank, coarsest)


def _as_levels(frames: Frames, call: Ints, rank: Ints, resolution: Ints) -> list[tuple[int, Level]]:
    """Cells (n,), `rank` counting those of a call, as rows of a level, one row a call."""
    calls, row = np.unique(call, return_inverse=True)
    width = next(w for w in SPLIT_WIDTHS if w > int(rank.max()))
    # What pads a row is its first cell.
    pick = np.repeat(np.nonzero(rank == 0)[0][:, None], width, axis=1)
    pick[row, rank] = np.arange(len(call))
    valid = np.zeros(pick.shape, bool)
    valid[row, rank] = True
    return [(width, Level(calls, frames.take(pick), resolution[calls], valid))]


def _hiding(sharpness: Floats32, mass: Floats32, total: Floats) -> npt.NDArray[np.bool_]:
    """Cells (rows, cells) in which evidence hides that is narrower than they are.

    Averages of single densities, multiplied, are not the average of the product: where two narrow pieces share a large
    cell, its mass is wrong by orders of magnitude either way. So every such cell is looked into, whatever it weighs.
    """
    sharp = sharpness > HIDDEN_SHARPNESS
    heavy = sharp & (mass > (HIDDEN_MASS * total)[:, None])
    heavy &= (np.count_nonzero(heavy, axis=1) <= HIDDEN_CELLS)[:, None]
    many = np.count_nonzero(sharp, axis=1) > HIDDEN_CELLS
    result: npt.NDArray[np.bool_] = heavy | np.where(many[:, None], sharpness > SHARPER, sharp)
    return result


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
    frames = Frames(*(np.concatenate([getattr(lv.frames, a) for lv in padded]) for a in FRAME_FIELDS))
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

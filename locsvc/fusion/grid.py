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
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.densities import Densities, Prepared
from locsvc.fusion.lattice import Frames
from locsvc.fusion.roots import FINEST_ANSWER, Level, Seen, first_cells, look

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
NEGLIGIBLE = 3e-4
# Calls of one batch, and cells of one call: together 32 bits of the sorting key. A step has at most 7 * 64 cells, or
# the disks of some pieces; a call at most 15 steps.
MOST_CALL_BITS = 16
LEAVES_OF_A_STEP = 4096


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
class _Progress:
    """What is known of each call while its cells are being refined, (calls,)."""

    log_peak: Floats
    leaf_mass: Floats  # in units of exp(log_peak), with what is elsewhere and what was dropped
    enough: npt.NDArray[np.bool_]
    parts: list[tuple[Ints, Cells, Floats32, Floats, Floats32, Ints]]
    steps: int = 0


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
    progress = _Progress(start.log_elsewhere, np.ones(calls), np.zeros(calls, bool), [])
    while levels:
        progress.steps += 1
        split: list[tuple[int, Level]] = []
        for level in levels:
            split += _refine(level, prepared, progress, confidence)
        levels = [_children(width, [lv for w, lv in split if w == width]) for width in sorted({w for w, _ in split})]
    return Posterior(_gather(progress, calls), prepared)


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
    progress.leaf_mass[calls] = leaf_mass + np.cumsum(np.where(split, 0, sorted_mass), axis=1, dtype=float)[:, -1]
    _keep_leaves(progress, level, leaf, order, seen)
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


def _keep_leaves(progress: _Progress, level: Level, leaf: npt.NDArray[np.bool_], order: Ints, seen: Seen) -> None:
    row, place = np.nonzero(leaf)
    column = order[row, place]
    progress.parts.append(
        (
            level.calls[row],
            level.frames.cell[row, column],
            seen.log[row, column],
            seen.area_m2[row, column],
            seen.vectors[:, row, column],
            progress.steps * LEAVES_OF_A_STEP + place,
        )
    )


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
    call, cell, log, area, vectors, place = (np.concatenate([p[i] for p in progress.parts], axis=-1) for i in range(6))
    density = np.exp(log - progress.log_peak.astype(np.float32)[call]).astype(np.float32)
    order = order_within_calls(call, np.uint32(0xFFFFFFFF) - density.view(np.uint32), place)
    call, cell, area, vectors = call[order], cell[order], area[order], vectors[:, order]
    mass = density[order] * area
    starts = np.searchsorted(call, np.arange(calls))
    return Leaves(call, cell, mass / progress.leaf_mass[call], area, vectors, starts)


def order_within_calls(call: Ints, value: npt.NDArray[np.uint32], place: Ints) -> Ints:
    """Order by call, then by value, then by place: a total order, so that equal values cannot fall either way.

    Parameters
    ----------
    call
        (n,) int64, below 2**MOST_CALL_BITS.
    value
        (n,) uint32; the bits of a float32 of 0 or more are in the order of the floats.
    place
        (n,) int64, unique in a call, below 2**(32 - MOST_CALL_BITS).
    """
    head = (call.astype(np.uint64) << np.uint64(64 - MOST_CALL_BITS)) | (
        value.astype(np.uint64) << np.uint64(32 - MOST_CALL_BITS)
    )
    return np.argsort(head | place.astype(np.uint64)).astype(np.int64)

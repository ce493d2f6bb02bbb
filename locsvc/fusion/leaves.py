"""Leaves: the cells of a posterior, kept level by level while it is refined, and sorted when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.lattice import Frames
from locsvc.fusion.roots import FRAME_FIELDS

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.roots import Level, Seen

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

# Leaves below this part of a finished call are dropped: together below 1e-3, which stays counted as elsewhere.
NEGLIGIBLE = 2e-6


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
class FlatLeaves:
    """Leaves of all calls that are not opened, (n,), in the order in which they were kept.

    `part` and `number` tell where each came from.
    """

    call: Ints
    log: Floats32
    area_m2: Floats
    sharpness: Floats32
    resolution: Ints
    part: Ints
    number: Ints


@dataclass(slots=True)
class _Part:
    """Leaves of one level: `row` and `column` in it; `alive` until they are opened."""

    level: Level
    seen: Seen
    row: Ints
    column: Ints
    alive: Bools


@dataclass(slots=True)
class LeafPool:
    """Leaves of all calls while they are being refined; `log_elsewhere` (calls,) is the mass outside of all cells.

    `_peak` (calls,) is the highest log of any leaf so far, opened ones too: masses in its units never overflow.
    """

    log_elsewhere: Floats
    _parts: list[_Part] = field(default_factory=list)
    _peak: Floats = field(init=False)
    _known: tuple[FlatLeaves, Floats, Floats] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._peak = self.log_elsewhere.copy()

    def keep(self, level: Level, seen: Seen, leaf: Bools, order: Ints) -> None:
        """Adds the cells `order[leaf]` of a level."""
        row, place = np.nonzero(leaf)
        self._parts.append(_Part(level, seen, row, order[row, place], np.ones(len(row), bool)))
        self._peak[level.calls] = np.maximum(self._peak[level.calls], seen.log.max(axis=1))
        self._known = None

    def forget(self, calls: Ints, log_elsewhere: Floats) -> None:
        """Drops all leaves of some calls (unique), which start again with another mass elsewhere."""
        self.log_elsewhere = self.log_elsewhere.copy()
        self.log_elsewhere[calls] = log_elsewhere
        self._peak[calls] = log_elsewhere
        self._known = None
        for p in self._parts:
            p.alive &= ~np.isin(p.level.calls[p.row], calls)

    def known(self) -> tuple[FlatLeaves, Floats, Floats]:
        """All leaves that are not opened, the log mass (calls,) of everything, and each leaf's share (n,) of it."""
        if self._known is None:
            flat = self._flat()
            mass = np.exp(flat.log - self._peak[flat.call]) * flat.area_m2
            # Summed in the order of the leaves, which is the same for a call alone and in a batch.
            total = np.bincount(flat.call, weights=mass, minlength=len(self._peak))
            total += np.exp(self.log_elsewhere - self._peak)
            self._known = flat, self._peak + np.log(total), mass / total[flat.call]
        return self._known

    def _flat(self) -> FlatLeaves:
        columns: list[tuple[npt.NDArray[np.generic], ...]] = []
        for k, p in enumerate(self._parts):
            number = np.nonzero(p.alive)[0]
            row, column = p.row[number], p.column[number]
            s = p.seen
            columns.append(
                (
                    p.level.calls[row],
                    s.log[row, column],
                    s.area_m2[row, column],
                    s.sharpness[row, column],
                    p.level.resolution[row],
                    np.full(len(row), k),
                    number,
                )
            )
        return FlatLeaves(*(np.concatenate(c) for c in zip(*columns, strict=True)))

    def open(self, flat: FlatLeaves, at: Ints) -> Frames:
        """Takes leaves out, to be split; their frames."""
        self._known = None
        columns: dict[str, npt.NDArray[np.generic]] = {}
        for k in np.unique(flat.part[at]).tolist():
            p = self._parts[k]
            mine = np.nonzero(flat.part[at] == k)[0]
            number = flat.number[at[mine]]
            p.alive[number] = False
            for name in FRAME_FIELDS:
                values = getattr(p.level.frames, name)[p.row[number], p.column[number]]
                columns.setdefault(name, np.empty(len(at), values.dtype))[mine] = values
        return Frames(**columns)  # type: ignore[arg-type]

    def leaves(self) -> Leaves:
        """The finished posterior, by call and falling density."""
        flat, log_total, share = self.known()
        keep = np.nonzero(share > NEGLIGIBLE)[0]
        call, share = flat.call[keep], share[keep]
        # How far below the peak, 0 or more: the bits of such floats are in their order.
        depth = (self._peak[call] - flat.log[keep]).astype(np.float32)
        order = order_within_calls(call, depth.view(np.uint32))
        at = keep[order]
        cell, vectors = self._cells(flat, at)
        call = flat.call[at]
        return Leaves(
            call, cell, share[order], flat.area_m2[at], vectors, np.searchsorted(call, np.arange(len(log_total)))
        )

    def _cells(self, flat: FlatLeaves, at: Ints) -> tuple[Cells, Floats32]:
        """Index (n,) and vector (3, n) of leaves."""
        cell, vectors = np.empty(len(at), np.uint64), np.empty((3, len(at)), np.float32)
        part, number = flat.part[at], flat.number[at]
        for k, p in enumerate(self._parts):
            mine = np.nonzero(part == k)[0]
            row, column = p.row[number[mine]], p.column[number[mine]]
            cell[mine] = p.level.frames.cell[row, column]
            vectors[:, mine] = p.seen.vectors[:, row, column]
        return cell, vectors


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

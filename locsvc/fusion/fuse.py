"""The whole core in one kernel: posterior, answers, region and agreement of many calls.

One call into machine code lets go of the interpreter once, for nearly all of its time; a server's loop goes on
meanwhile. The steps are those of `grid.locate`, `region.answer`, `region.compact` and `agreement.agreement_of`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, lent
from locsvc.fusion.agreement import Agreement, agree_calls, agreement_of
from locsvc.fusion.densities import Densities
from locsvc.fusion.evaluation import Pieces, pieces_of
from locsvc.fusion.grid import Found, Kept, Posterior, locate, locate_calls, posterior_of, room_of_thread
from locsvc.fusion.lattice import Lattice, Level, tables
from locsvc.fusion.region import (
    Answers,
    CompactCells,
    LeavesOfCalls,
    answer,
    answer_calls,
    answers_of,
    compact,
    compact_calls,
    list_modes,
)
from locsvc.fusion.splitting import Look

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]


@dataclass(slots=True)
class Fused:
    """What the core says of some calls."""

    posterior: Posterior
    answers: Answers
    region: CompactCells
    agreement: Agreement


class _Result(NamedTuple):
    """All of it as arrays; `done` is the number of calls that there was room for."""

    done: int
    starts: Ints
    leaves: Found
    numbers: Floats
    region: Ints
    of_leaf: Ints
    mode_starts: Ints
    modes: Floats
    cell: Cells
    cell_starts: Ints
    finest: Ints
    agreement: Floats
    share: Floats


class Fusing:
    """Calls between being gathered and being answered: made, then `run` (anywhere), then `result`.

    `region` and `circle` (calls,) are the masses of the posterior that regions and circles are to hold; circles as much
    as regions where theirs is left out. Cells are as fine as the regions need.
    """

    def __init__(self, densities: Densities, calls: int, region: Floats, circle: Floats | None = None) -> None:
        self._densities = densities
        self._calls = calls
        self._region = np.asarray(region, np.float64)
        self._circle = self._region if circle is None else np.asarray(circle, np.float64)
        self._pieces = pieces_of(densities, calls)
        self._tables = tables()
        self._result: _Result | None = None

    def run(self) -> None:
        """Goes through all calls; the interpreter is free meanwhile."""
        room = room_of_thread()
        self._result = _fuse(
            self._tables, self._pieces, self._region, self._circle, room.found, room.levels, room.look, room.kept
        )

    def result(self) -> Fused:
        """What came out of it."""
        r = self._result
        if r is None or r.done < self._calls:
            # More leaves than there is room for: part by part.
            posterior = locate(self._densities, self._calls, self._region)
            answers = answer(posterior, self._region, self._circle)
            region = compact(posterior.leaves, answers.region_leaves)
            return Fused(posterior, answers, region, agreement_of(posterior))
        return Fused(
            posterior_of(r.leaves, r.starts, self._densities, self._pieces),
            answers_of(r.numbers, r.region, r.of_leaf, r.modes, r.mode_starts),
            CompactCells(r.cell[: r.cell_starts[-1]], r.cell_starts, r.finest),
            Agreement(r.agreement, r.share),
        )


@compiled
def _fuse(
    t: Lattice,
    d: Pieces,
    wanted: Floats,
    circle: Floats,
    room: Found,
    levels: tuple[Level, Level],
    look: Look,
    kept: Kept,
) -> _Result:
    t, d, room, levels, look, kept = lent(t), lent(d), lent(room), lent(levels), lent(look), lent(kept)
    calls = len(wanted)
    starts = np.zeros(calls + 1, np.int64)
    done = locate_calls(t, d, wanted, 0, starts, room, levels, look, kept)
    used = starts[done]
    leaves = Found(
        room.cell[:used].copy(), room.mass[:used].copy(), room.area_m2[:used].copy(), room.vectors[:used].copy()
    )
    whole = done == calls
    # Where there is no room for all of them, nothing more is done with the first ones.
    answered = calls if whole else 0
    numbers, region, count = np.empty((9, calls)), np.zeros(calls, np.int64), np.ones(calls, np.int64)
    of_leaf = np.empty(used, np.int64)
    of_leaves = starts, leaves.mass, leaves.area_m2, leaves.vectors
    every = lent(LeavesOfCalls(d.anchor, *of_leaves, wanted[:answered], circle[:answered]))
    answer_calls(every, numbers, region, of_leaf, count)
    mode_starts = np.zeros(calls + 1, np.int64)
    for call in range(calls):
        mode_starts[call + 1] = mode_starts[call] + count[call] - 1
    modes = np.empty((4, mode_starts[calls]))
    list_modes(every, of_leaf, mode_starts, modes)
    cell, cell_starts = np.empty(region.sum(), np.uint64), np.zeros(calls + 1, np.int64)
    finest = np.zeros(calls, np.int64)
    compact_calls(leaves.cell, starts, region[:answered], cell, cell_starts, finest)
    agreement, share = np.zeros(len(d.piece)), np.zeros(len(d.piece))
    if whole:
        agree_calls(d, starts, leaves.cell, leaves.mass, leaves.area_m2, leaves.vectors, agreement, share)
    return _Result(
        done,
        starts,
        leaves,
        numbers,
        region,
        of_leaf,
        mode_starts,
        modes,
        cell,
        cell_starts,
        finest,
        agreement,
        share,
    )

"""The view by place: which cells are heard at each, from the rows of the cells.

A place's signature is its own history and a part of that of the places around it: what one drive heard at one place is
a few scans, and the street goes on. In leave-one-day-out trials on drive tests the error of whole scans falls by a
tenth with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt

from locsvc.reference.coverage import files
from locsvc.reference.coverage.grouped import firsts, numbers, ratio

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

NETWORK_BITS = 22


@dataclass(slots=True)
class Ground:
    """Bins and the scans at their places: what the rows of cells are spread over."""

    first: Ints
    """(bins,) first place of each bin, and `last` (bins,) the one behind its last."""
    last: Ints
    scan_key: Ints
    """(s,) ascending: place << 22 | network."""
    scan_reports: Floats
    """(s,)"""
    places: int
    """How many there are."""
    around: Around
    """Which places lend to which."""


@dataclass(slots=True)
class Around:
    """Places next to each place, itself first, `start` (places + 1,), `place` and the `share` that it lends."""

    start: Ints
    place: Ints
    share: Floats

    @staticmethod
    def of(h3_cells: Ints, share: float) -> Around:
        """Of places, (places,) ascending H3 cells, which lend `share` of what they hold to each of those next to them.

        >>> cells = np.sort(h3.grid_disk(h3.latlng_to_cell(55.0, 2.5, 11), 1)).astype(np.int64)
        >>> around = Around.of(cells[:4], 0.2)
        >>> around.place[around.start[:4]].tolist()
        [0, 1, 2, 3]
        """
        found = [h3.grid_disk(c, 1).astype(np.int64) for c in h3_cells.tolist()]
        count = np.array([len(ring) for ring in found], np.int64)
        other = np.concatenate([np.zeros(0, np.int64), *found])
        own = np.repeat(np.arange(len(h3_cells)), count)
        at = np.searchsorted(h3_cells, other).clip(0, max(len(h3_cells) - 1, 0))
        known = h3_cells[at] == other if len(h3_cells) else np.zeros(0, bool)
        own, at = own[known], at[known]
        order = np.lexsort((at, own != at, own))
        own, at = own[order], at[order]
        return Around(np.searchsorted(own, np.arange(len(h3_cells) + 1)), at, np.where(own == at, 1.0, share))

    def near(self, begin: int, end: int) -> npt.NDArray[np.bool_]:
        """Whether a place lends to one from `begin` to before `end`, (places,)."""
        marked = np.zeros(len(self.start) - 1, bool)
        marked[self.place[self.start[begin] : self.start[end]]] = True
        return marked

    def lent(self, place: Ints, share: Floats) -> tuple[Ints, Ints, Floats]:
        """Which places get of the rows at places (n,), the row of each, and the share that it gets of it."""
        count = self.start[place + 1] - self.start[place]
        row = np.repeat(np.arange(len(place)), count)
        at = self.start[place[row]] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        return self.place[at], row, share[row] * self.share[at]


@dataclass(slots=True)
class Rows:
    """Rows of the cells: cell number, its network, bin, whether it served, and `row_stats`."""

    cell: Ints
    network: Ints
    bin: Ints
    serving: npt.NDArray[np.bool_]
    stats: Singles

    def of(self, chosen: npt.NDArray[np.bool_] | Ints) -> Rows:
        """Some of them."""
        return Rows(*(getattr(self, name)[chosen] for name in Rows.__dataclass_fields__))


def heard_at(rows: Rows, ground: Ground, begin: int, end: int) -> tuple[Ints, Ints, Singles]:
    """Place and cell, ascending, and `heard_stats` of what is heard at the places from `begin` to before `end`.

    A row of a bin that holds several places is shared out to those at which there are scans of the cell's network, by
    the number of those; then each place gets its share of what is heard next to it.
    """
    near = ground.around.near(begin, end)
    place, row, share = _shared(rows, ground)
    close = near[place]
    place, row, share = place[close], row[close], share[close]
    place, lender, share = ground.around.lent(place, share)
    row = row[lender]
    inside = (place >= begin) & (place < end)
    place, row, share = place[inside], row[inside], share[inside]
    cell = rows.cell[row]
    order = np.lexsort((row, cell, place))
    place, cell, row, share = place[order], cell[order], row[order], share[order]
    first = firsts(place, cell)
    return place[first], cell[first], _together(rows.stats[row], rows.serving[row], share, first)


def _shared(rows: Rows, ground: Ground) -> tuple[Ints, Ints, Floats]:
    """Places of rows, the row of each, and its share of the row."""
    single = ground.last[rows.bin] - ground.first[rows.bin] == 1
    plain, wide = np.flatnonzero(single), np.flatnonzero(~single)
    count = (ground.last - ground.first)[rows.bin[wide]]
    row = np.repeat(wide, count)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    place = ground.first[rows.bin[row]] + nth
    key = place << NETWORK_BITS | rows.network[row]
    at = np.minimum(np.searchsorted(ground.scan_key, key), max(len(ground.scan_key) - 1, 0))
    scanned = ground.scan_key[at] == key if len(ground.scan_key) else np.zeros(len(row), bool)
    row, place, reports = row[scanned], place[scanned], ground.scan_reports[at[scanned]]
    share = reports / np.bincount(row, reports, minlength=len(rows.cell))[row]
    return (
        np.concatenate((ground.first[rows.bin[plain]], place)),
        np.concatenate((plain, row)),
        np.concatenate((np.ones(len(plain)), share)),
    )


def _together(stats: Singles, serving: npt.NDArray[np.bool_], share: Floats, first: Ints) -> Singles:
    """`heard_stats`, both roles of a cell added up."""
    made = np.empty((len(first), files.HEARD_WIDTH), np.float32)
    if not len(first):
        return made
    wide = stats.astype(np.float64) * share[:, None]
    for to, column in (
        (files.H_WEIGHT, files.R_WEIGHT),
        (files.H_REPORTS, files.R_REPORTS),
        (files.H_VISITS, files.R_VISITS),
        (files.H_LISTED, files.R_LISTED),
    ):
        made[:, to] = np.add.reduceat(wide[:, column], first)
    made[:, files.H_SERVING] = np.add.reduceat(np.where(serving, wide[:, files.R_REPORTS], 0.0), first)
    level, sd = stats[:, files.R_LEVEL].astype(np.float64), stats[:, files.R_LEVEL_SD].astype(np.float64)
    weight = np.where(np.isnan(level), 0.0, wide[:, files.R_WEIGHT])
    level, sd = np.nan_to_num(level), np.nan_to_num(sd)
    total = np.add.reduceat(weight, first)
    mean = ratio(np.add.reduceat(weight * level, first), total)
    off = level - np.nan_to_num(mean)[numbers(first, len(level))]
    made[:, files.H_LEVEL] = mean
    made[:, files.H_LEVEL_SD] = np.sqrt(ratio(np.add.reduceat(weight * (sd**2 + off**2), first), total))
    return made

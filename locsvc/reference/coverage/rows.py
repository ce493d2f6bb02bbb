"""Tallies as rows: what counts of them today, and means instead of sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from locsvc.reference.coverage import files
from locsvc.reference.coverage import tallies as t
from locsvc.reference.coverage.grouped import deviation, firsts, numbers, ratio
from locsvc.reference.coverage.tallies import Tallies

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Faded:
    """Tallies of all epochs together, by `what`, kind and place."""

    what: Ints
    kind: Ints
    place: Ints
    visits: Floats
    sums: Floats
    """(n, 13) float64, as those of the tallies, each epoch with what it still counts."""
    newest: Ints
    """Newest epoch of each."""

    def of(self, chosen: npt.NDArray[np.bool_] | Ints) -> Faded:
        """Some of them."""
        return Faded(*(getattr(self, name)[chosen] for name in Faded.__dataclass_fields__))


def fade(tallies: Tallies, weight: Floats) -> Faded:
    """The tallies with their epochs weighted and added up.

    Parameters
    ----------
    tallies
        Sorted.
    weight
        By epoch, float64.
    """
    named = tallies.where >> t.EPOCH_BITS
    first = firsts(tallies.what, named)
    if not len(first):
        none = np.zeros(0, np.int64)
        return Faded(none, none, none, np.zeros(0), np.zeros((0, t.SUMS)), none)
    factor = weight[tallies.epoch]
    return Faded(
        tallies.what[first],
        tallies.kind[first],
        tallies.place[first],
        np.add.reduceat(t.visits_of(tallies.marks) * factor, first),
        np.add.reduceat(tallies.sums * factor[:, None], first, axis=0),
        np.maximum.reduceat(tallies.epoch, first),
    )


@dataclass(slots=True)
class Marked:
    """Marks of tallies, (n,): number of the row that each is in, its epoch, what that still counts, and the marks."""

    row: Ints
    epoch: Ints
    factor: Floats
    marks: Ints


def marked(tallies: Tallies, chosen: npt.NDArray[np.bool_], weight: Floats) -> Marked:
    """The marks of the tallies that are chosen, by the rows that `fade` makes of just these."""
    what, named, epoch = tallies.what[chosen], tallies.where[chosen] >> t.EPOCH_BITS, tallies.epoch[chosen]
    return Marked(numbers(firsts(what, named), len(what)), epoch, weight[epoch], tallies.marks[chosen])


def passes(cell: Ints, seen: Marked, cells: int) -> Floats:
    """How many visits each cell had in all its places together, (cells,) float64: one drive along it is one.

    Parameters
    ----------
    cell
        (n,) cell of each of the marks; -1 of those that do not count.

    >>> seen = Marked(np.arange(3), np.ones(3, np.int64), np.ones(3), np.array([1, 1, 2]))
    >>> passes(np.array([0, 0, 1]), seen, 2).tolist()
    [1.0, 1.0]
    """
    kept = np.flatnonzero(cell >= 0)
    order = kept[np.lexsort((seen.epoch[kept], cell[kept]))]
    first = firsts(cell[order], seen.epoch[order])
    if not len(first):
        return np.zeros(cells)
    visits = t.visits_of(np.bitwise_or.reduceat(seen.marks[order], first)) * seen.factor[order[first]]
    return np.bincount(cell[order[first]], visits, minlength=cells).astype(np.float64)


def _mean_and_sd(sums: Floats, column: int, per_unit: float) -> tuple[Floats, Floats]:
    weight, total, squares = sums[:, column], sums[:, column + 1], sums[:, column + 2]
    return ratio(total, weight) / per_unit, deviation(squares, total, weight) / per_unit


def row_stats(faded: Faded) -> npt.NDArray[np.float32]:
    """Columns of `row_stats`, (n, 10) float32."""
    sums = faded.sums
    stats = np.empty((len(sums), files.ROW_WIDTH), np.float32)
    stats[:, files.R_WEIGHT] = sums[:, t.WEIGHT] / t.PER_WEIGHT
    stats[:, files.R_REPORTS] = sums[:, t.REPORTS]
    stats[:, files.R_VISITS] = np.minimum(faded.visits, sums[:, t.REPORTS])
    stats[:, files.R_LISTED] = sums[:, t.LISTED]
    stats[:, files.R_LEVEL], stats[:, files.R_LEVEL_SD] = _mean_and_sd(sums, t.LEVEL, t.PER_DB)
    stats[:, files.R_QUALITY], stats[:, files.R_QUALITY_SD] = _mean_and_sd(sums, t.QUALITY, t.PER_DB)
    stats[:, files.R_ADVANCE], stats[:, files.R_ADVANCE_SD] = _mean_and_sd(sums, t.ADVANCE, 1.0)
    return stats


def scan_stats(faded: Faded) -> npt.NDArray[np.float32]:
    """Columns of `scan_stats`, (n, 5) float32."""
    sums = faded.sums
    stats = np.empty((len(sums), files.SCAN_WIDTH), np.float32)
    stats[:, files.S_WEIGHT] = sums[:, t.WEIGHT] / t.PER_WEIGHT
    stats[:, files.S_REPORTS] = sums[:, t.REPORTS]
    stats[:, files.S_VISITS] = np.minimum(faded.visits, sums[:, t.REPORTS])
    stats[:, files.S_LISTED] = sums[:, t.LISTED]
    stats[:, files.S_CELLS] = sums[:, t.CELLS]
    return stats


def child_shares(place: Ints, scans: Faded, places: int) -> npt.NDArray[np.float32]:
    """Share of each place's reports in each of its children, (places, 7) float32.

    Parameters
    ----------
    place
        Number of each scan's place.
    """
    counted = scans.sums[:, t.CHILD : t.CHILD + t.CHILDREN]
    reports = np.stack([np.bincount(place, column, minlength=places) for column in counted.T], axis=1)
    shares: npt.NDArray[np.float32] = (reports / reports.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def areas_of(faded: Faded) -> tuple[Ints, Ints]:
    """Identities, ascending, and the area code last seen with each; of several the one with most reports."""
    order = np.lexsort((faded.place, faded.sums[:, t.REPORTS], faded.newest, faded.what))
    last = np.append(firsts(faded.what[order])[1:], len(order)) - 1 if len(order) else order
    chosen = order[last]
    return faded.what[chosen], faded.place[chosen]

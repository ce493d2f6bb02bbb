"""What was counted: whole numbers that are added up, so that no order of reports and no cut of tables matters.

A tally counts reports that say one kind of thing of one place in one epoch of 30 days:

::

    what   int64   SERVING, NEIGHBOUR, AREA, CHANNEL: identity of the cell; SCAN: radio and network in 22 bits
    where  int64   kind 3 | place 47 | epoch 13
    marks  int64   a bit for each visit, by its hash: distinct visits are told from the share of bits that are set
    sums   int64   the columns below

`place` is an H3 cell (its bits 9 to 55: resolution 12 at the finest); for AREA an area code, for CHANNEL arfcn and pci.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# A cell that served, a cell heard as a neighbour, a cell's area code, a cell's channel and pci, a whole scan.
SERVING, NEIGHBOUR, AREA, CHANNEL, SCAN = range(5)

# Levels and qualities are counted in eighths of a dB, timing advances in their radio's units; weights in sixteenths.
REPORTS, WEIGHT, LISTED, CELLS = range(4)
# Of a cell: at each of these three the sum of weights, of weighted values, of weighted squares.
LEVEL, QUALITY, ADVANCE = 4, 7, 10
SUMS = 13
# Of a SCAN: behind the first four columns, reports by which of the place's 7 children they were in.
CHILD, CHILDREN = 4, 7
PER_DB = 8
PER_WEIGHT = 16

PLACE_BITS, EPOCH_BITS = 47, 13
KIND_SHIFT = PLACE_BITS + EPOCH_BITS
MAX_EPOCH = (1 << EPOCH_BITS) - 1
EPOCH_DAYS = 30
EPOCH_S = EPOCH_DAYS * 86_400
# Reports without a time have an epoch of their own; Unix time 0 is in the first of the others.
NO_EPOCH = 0
FINEST = 12
# Resolution of regions, see `coarsened`; no place is coarser.
REGION = 6
# Below the resolution's 4 bits and the base cell's 7 there are 3 for each digit to FINEST.
_H3_UNUSED_BITS = 3 * (15 - FINEST)
_RESOLUTION_SHIFT = PLACE_BITS - 4
_PLACE_MASK = (1 << PLACE_BITS) - 1
_MODE = 1 << 59
MARKS = 64
_PER_LOG = -1 / np.log(1 - 1 / MARKS)


def places_of(h3_cell: Ints) -> Ints:
    """H3 cells of resolution 12 or coarser as places, (n,) int64."""
    result: Ints = (h3_cell >> _H3_UNUSED_BITS) & _PLACE_MASK
    return result


def h3_of(place: Ints) -> Ints:
    """Places as H3 cells, (n,) int64.

    >>> import h3.api.numpy_int as h3
    >>> cell = np.array([h3.latlng_to_cell(52.5, -1.9, 11)], np.int64)
    >>> bool((h3_of(places_of(cell)) == cell).all())
    True
    """
    return _MODE | (place << _H3_UNUSED_BITS) | ((1 << _H3_UNUSED_BITS) - 1)


def resolutions_of(place: Ints) -> Ints:
    """H3 resolution of places, (n,) int64."""
    return place >> _RESOLUTION_SHIFT


def parents_of(place: Ints, resolution: Ints) -> Ints:
    """The places of coarser resolutions that they are in, (n,) int64.

    >>> import h3.api.numpy_int as h3
    >>> cell = h3.latlng_to_cell(52.5, -1.9, 11)
    >>> parent = parents_of(places_of(np.array([cell], np.int64)), np.array([9]))
    >>> int(h3_of(parent)[0]) == h3.cell_to_parent(cell, 9)
    True
    """
    below = (np.int64(1) << (3 * (FINEST - resolution))) - 1
    return at_resolution(place, resolution) | below


def at_resolution(place: Ints, resolution: Ints) -> Ints:
    """The places' digits with another resolution, (n,) int64: the last number that is in them at that resolution."""
    return (resolution << _RESOLUTION_SHIFT) | (place & ((1 << _RESOLUTION_SHIFT) - 1))


def wheres(kind: Ints, place: Ints, epoch: Ints) -> Ints:
    """Kind, place and epoch as one number, (n,) int64."""
    return (kind << KIND_SHIFT) | (place << EPOCH_BITS) | epoch


def epochs(t: Floats) -> Ints:
    """Epoch of times, (n,) int64.

    Parameters
    ----------
    t
        (n,) float64, Unix seconds; NaN where unknown.
    """
    # Clocks that stand before 1970 are of the first epoch.
    number = np.clip(np.floor(np.nan_to_num(t) / EPOCH_S) + 1, 1, MAX_EPOCH).astype(np.int64)
    return np.where(np.isnan(t), NO_EPOCH, number)


@dataclass(slots=True)
class Tallies:
    """Tallies as columns, see the module."""

    what: Ints
    where: Ints
    marks: Ints
    sums: Ints

    def __len__(self) -> int:
        return len(self.what)

    @property
    def kind(self) -> Ints:
        """(n,) int64."""
        return self.where >> KIND_SHIFT

    @property
    def place(self) -> Ints:
        """(n,) int64."""
        result: Ints = (self.where >> EPOCH_BITS) & _PLACE_MASK
        return result

    @property
    def epoch(self) -> Ints:
        """(n,) int64."""
        result: Ints = self.where & MAX_EPOCH
        return result

    @staticmethod
    def empty() -> Tallies:
        """No tallies."""
        none = np.zeros(0, np.int64)
        return Tallies(none, none, none, np.zeros((0, SUMS), np.int64))

    @staticmethod
    def join(parts: Sequence[Tallies]) -> Tallies:
        """All tallies of the parts, not added up."""
        if not parts:
            return Tallies.empty()
        columns = zip(*((p.what, p.where, p.marks, p.sums) for p in parts), strict=True)
        return Tallies(*(np.concatenate(column) for column in columns))

    def of(self, chosen: npt.NDArray[np.bool_] | Ints) -> Tallies:
        """Some of the tallies."""
        return Tallies(self.what[chosen], self.where[chosen], self.marks[chosen], self.sums[chosen])

    def added(self) -> Tallies:
        """Sorted by `what` and `where`, each pair once."""
        if not len(self):
            return Tallies.empty()
        order = np.lexsort((self.where, self.what))
        what, where = self.what[order], self.where[order]
        first = np.flatnonzero(np.append(True, (what[1:] != what[:-1]) | (where[1:] != where[:-1])))
        return Tallies(
            what[first],
            where[first],
            np.bitwise_or.reduceat(self.marks[order], first),
            np.add.reduceat(self.sums[order], first, axis=0),
        )


def visits_of(marks: Ints) -> Floats:
    """How many visits left those marks, (n,) float64: as many as would set that many of 64 bits on average.

    308 at the most: then it is of no matter how many more there were.

    References
    ----------
    Whang, Vander-Zanden, Taylor (1990): a linear-time probabilistic counting algorithm.

    >>> visits_of(np.array([0, 1, 3, -1])).round(2).tolist()
    [0.0, 1.0, 2.02, 308.1]
    """
    held = np.bitwise_count(marks.view(np.uint64)).astype(np.float64)
    # All bits set: as if half of the last one were.
    free = np.maximum(1 - held / MARKS, 0.5 / MARKS)
    result: Floats = np.abs(np.log(free)) * _PER_LOG
    return result


def coarsened(tallies: Tallies, most_places: int) -> Tallies:
    """The tallies, each cell's in each region on the finest places of which it has at most so many there.

    A region is an H3 cell of resolution 6, 6 km wide, because a pci is used again and again all over the country. What
    is once on coarse places stays on them, and what is added is put on them too. Because a cell never has fewer places
    for more reports, the outcome is the same in whichever order they come.
    """
    heard = tallies.kind <= NEIGHBOUR
    cells = tallies.of(heard)
    if not len(cells):
        return tallies
    place = cells.place
    region = parents_of(place, np.minimum(resolutions_of(place), REGION))
    order = np.lexsort((region, cells.what))
    what, region = cells.what[order], region[order]
    new = np.append(True, (what[1:] != what[:-1]) | (region[1:] != region[:-1]))
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(new) - 1
    resolution = np.full(int(new.sum()), FINEST)
    np.minimum.at(resolution, group, resolutions_of(place))
    while True:
        place = parents_of(place, np.minimum(resolutions_of(place), resolution[group]))
        order = np.lexsort((place, group))
        first = np.append(True, (place[order][1:] != place[order][:-1]) | (group[order][1:] != group[order][:-1]))
        over = (np.bincount(group[order][first], minlength=len(resolution)) > most_places) & (resolution > REGION)
        if not over.any():
            break
        resolution = resolution - over
    if (place == cells.place).all():
        return tallies
    cells.where = wheres(cells.kind, place, cells.epoch)
    return Tallies.join([cells, tallies.of(~heard)]).added()

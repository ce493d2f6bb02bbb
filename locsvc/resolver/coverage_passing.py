"""Places that may fit a scan of several cells, found in passing: where history heard the rarest of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.fusion.sorting import sort_keys
from locsvc.reference.coverage.files import R_LEVEL

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.reference.coverage import CoverageStore

    Floats = npt.NDArray[np.float64]
    Singles = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.int32]
    Halves = npt.NDArray[np.int16]

# Cells of a scan that are compared; phones list some 30 at most.
MOST_CELLS = 64
# Places that are looked at in passing, and those that are compared.
MOST_SEEN, MOST_COMPARED = 2048, 96
# Slots for them, twice as many: small, so that they stay in the fastest memory.
_SLOTS = 2 * MOST_SEEN
_LAST_SLOT, _ONE = np.uint64(_SLOTS - 1), np.uint64(1)
# Rows that are looked at in passing, the rarest cells' first: once enough places are known, more find no better ones.
_MOST_ROWS = 500
# A row that stands for more places than this tells them apart too little to be spread over them.
_MOST_IN_A_BIN = 49
_STEPS = 256
# Level difference in passing that halves what a cell counts.
_PASSING_DB = 10.0


class Signatures(NamedTuple):
    """What kernels read of a coverage dataset; `served` they fill as they come to places, see `CoverageStore`."""

    cell_start: Ints
    row_bin: Words
    row_stats: Singles
    bin_first: Words
    bin_last: Words
    place_start: Ints
    heard_cell: Words
    heard_stats: Singles
    cell_identity: Ints
    served: Floats


class Scan(NamedTuple):
    """Known cells of one scan, ascending: identity, first cell number, how many, level (NaN); the serving one, -1."""

    identity: Ints
    first: Ints
    clusters: Ints
    level_dbm: Floats
    serving: int


class Seen(NamedTuple):
    """Places that were looked at in passing, (MOST_SEEN,)."""

    slot: Halves  # (_SLOTS,) number of the seen place + 1, 0 where free
    place: Ints
    match: Floats
    latest: Floats  # what the cell in hand adds
    latest_cell: Words


def room_to_pass() -> Seen:
    """Room for the places that one scan after the other looks at."""
    return Seen(
        np.zeros(_SLOTS, np.int16),
        np.empty(MOST_SEEN, np.int64),
        np.empty(MOST_SEEN),
        np.empty(MOST_SEEN),
        np.empty(MOST_SEEN, np.int32),
    )


def signatures_of(store: CoverageStore) -> Signatures:
    """The arrays of a dataset that kernels read."""
    return Signatures(*(getattr(store, name) for name in Signatures._fields))


@inlined
def _look_along(scan: Scan, j: int, s: Signatures, room: Seen, seen: int) -> int:
    """Notes the places where cell `j` of the scan was heard, and how well its level fits; how many are seen then."""
    first, last = s.cell_start[scan.first[j]], s.cell_start[scan.first[j] + scan.clusters[j]]
    # Unsigned, so that no index is asked whether it counts from the end.
    for r in range(np.uint64(first), np.uint64(last)):
        row = np.uint64(s.row_bin[r])
        begin, end = s.bin_first[row], s.bin_last[row]
        if end - begin > _MOST_IN_A_BIN:
            continue
        off = (scan.level_dbm[j] - s.row_stats[r, R_LEVEL]) / _PASSING_DB
        gain = 0.5 if math.isnan(off) else 1.0 / (1.0 + off * off)
        for place in range(begin, end):
            slot = np.uint64(place * 2654435761) & _LAST_SLOT
            while room.slot[slot] > 0 and room.place[np.uint64(room.slot[slot]) - _ONE] != place:
                slot = (slot + _ONE) & _LAST_SLOT
            if room.slot[slot] == 0:
                if seen < MOST_SEEN:
                    room.place[seen], room.match[seen] = place, gain
                    room.latest[seen], room.latest_cell[seen] = gain, j
                    seen += 1
                    room.slot[slot] = seen
                continue
            at = np.uint64(room.slot[slot]) - _ONE
            # A cell counts once at a place, as serving cell or as neighbour.
            latest = room.latest[at] if room.latest_cell[at] == j else 0.0
            room.match[at] += max(gain - latest, 0.0)
            room.latest_cell[at], room.latest[at] = j, max(gain, latest)
    return seen


@compiled
def look_around(scan: Scan, s: Signatures, room: Seen) -> int:
    """Writes the places where cells of the scan were heard, and roughly how well they match; how many.

    Cells that few places hear come first: where there is no room for all places, theirs are the ones to look at.
    """
    room.slot[:] = 0
    k, seen = len(scan.identity), 0
    rows = np.empty(k, np.int64)
    for j in range(k):
        rows[j] = s.cell_start[scan.first[j] + scan.clusters[j]] - s.cell_start[scan.first[j]]
    passed = 0
    for j in np.argsort(rows):
        if passed > _MOST_ROWS and seen >= MOST_COMPARED:
            break
        passed += rows[j]
        seen = _look_along(scan, j, s, room, seen)
    return seen


@compiled
def best_of(room: Seen, key: Ints, seen: int, cells: int) -> int:
    """Writes the best matching of `seen` places for a scan of so many cells, ascending, to `key`; how many."""
    held = np.zeros(_STEPS, np.int64)
    scale = (_STEPS - 1) / max(float(cells), 1.0)
    for i in range(seen):
        held[int(room.match[i] * scale)] += 1
    least, total = _STEPS, 0
    while least > 0 and total + held[least - 1] <= MOST_COMPARED:
        least -= 1
        total += held[least]
    n = 0
    for i in range(seen):
        if int(room.match[i] * scale) >= least:
            key[n] = room.place[i]
            n += 1
    # Many that match alike: those seen first, which the rarest cells named.
    for i in range(seen if n == 0 else 0):
        if int(room.match[i] * scale) == least - 1 and n < MOST_COMPARED:
            key[n] = room.place[i]
            n += 1
    sort_keys(key.view(np.uint64), n)
    return n
